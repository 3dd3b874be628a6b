/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket: one thread, one poll() loop, any number of clients up to a limit.
 * Nothing here waits for a client or is waited for by a vCPU.
 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "reply.h"

#define CLIENTS_MAX 32
#define LINE_MAX_BYTES 256

struct client {
	int fd;                 /* -1 = free slot */
	char line[LINE_MAX_BYTES];
	size_t fill;
	GString *out;           /* unsent output */
};

struct server {
	int listener;
	int wake[2];            /* a closed write end tells the thread to stop */
	char *path;
	GThread *thread;
	struct client clients[CLIENTS_MAX];
};

static GString *answer(const char *request)
{
	guint64 since;

	if (!strcmp(request, "info"))
		return reply_info();
	if (!strcmp(request, "counters"))
		return reply_counters();
	if (g_str_has_prefix(request, "markers ") &&
	    g_ascii_string_to_unsigned(request + strlen("markers "), 10, 0, G_MAXUINT64,
				       &since, NULL))
		return reply_markers(since);
	return reply_error("unknown request; known are: info, counters, markers N");
}

static void client_close(struct client *client)
{
	close(client->fd);
	client->fd = -1;
	client->fill = 0;
	g_string_truncate(client->out, 0);
}

/* Sends what the socket takes now. False if the client is gone. */
static bool client_flush(struct client *client)
{
	while (client->out->len) {
		ssize_t n = send(client->fd, client->out->str, client->out->len, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		g_string_erase(client->out, 0, n);
	}
	return true;
}

static void client_answer(struct client *client, const char *request)
{
	GString *reply = answer(request);

	g_string_append_len(client->out, reply->str, (gssize)reply->len);
	g_string_append_c(client->out, '\n');
	g_string_free(reply, TRUE);
}

/*
 * Takes the next complete line from the buffer; false if there is none. One line
 * at a time, and none while output is pending, so that a client that asks but
 * does not read cannot make us hoard replies.
 */
static bool client_next(struct client *client)
{
	char *end = memchr(client->line, '\n', client->fill);
	size_t used;

	if (!end || client->out->len)
		return false;
	used = (size_t)(end - client->line) + 1;
	*end = '\0';
	if (end > client->line && end[-1] == '\r')
		end[-1] = '\0';
	client_answer(client, client->line);
	client->fill -= used;
	memmove(client->line, client->line + used, client->fill);
	return true;
}

static bool client_read(struct client *client)
{
	ssize_t n = recv(client->fd, client->line + client->fill,
			 sizeof client->line - client->fill, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	client->fill += (size_t)n;
	return true;
}

/* Last words to a client that is about to be dropped; it may miss them. */
static void send_error(int fd, const char *message)
{
	GString *reply = reply_error(message);

	g_string_append_c(reply, '\n');
	(void)!send(fd, reply->str, reply->len, MSG_NOSIGNAL);
	g_string_free(reply, TRUE);
}

/* A line that does not fit is answered with an error, and the client dropped. */
static bool client_overflow(struct client *client)
{
	if (client->fill < sizeof client->line || memchr(client->line, '\n', client->fill))
		return false;
	send_error(client->fd, "request line too long");
	return true;
}

static void client_serve(struct client *client, short events)
{
	bool alive = client_flush(client);

	if (alive && events & (POLLIN | POLLHUP | POLLERR) && !client->out->len)
		alive = client_read(client);
	while (alive && client_next(client))
		alive = client_flush(client);
	if (!alive || client_overflow(client))
		client_close(client);
}

static void accept_client(struct server *server)
{
	int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (server->clients[i].fd < 0) {
			server->clients[i].fd = fd;
			return;
		}
	send_error(fd, "too many clients");
	close(fd);
}

static void *serve(void *data)
{
	struct server *server = data;
	struct pollfd fds[2 + CLIENTS_MAX];

	for (;;) {
		fds[0] = (struct pollfd){ .fd = server->wake[0], .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = server->listener, .events = POLLIN };
		for (int i = 0; i < CLIENTS_MAX; i++) {
			struct client *client = &server->clients[i];

			fds[2 + i] = (struct pollfd){
				.fd = client->fd, /* negative is ignored by poll() */
				.events = client->fd >= 0 && client->out->len ? POLLOUT : POLLIN };
		}
		if (poll(fds, G_N_ELEMENTS(fds), -1) < 0)
			continue;
		if (fds[0].revents)
			return NULL;
		for (int i = 0; i < CLIENTS_MAX; i++)
			if (server->clients[i].fd >= 0 && fds[2 + i].revents)
				client_serve(&server->clients[i], fds[2 + i].revents);
		if (fds[1].revents)
			accept_client(server);
	}
}

/* True if the path is a socket nobody listens on: left by a QEMU that was killed. */
static bool is_left_over(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool refused = fd >= 0 &&
		connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 &&
		errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return refused;
}

/* Returns the listening socket, or -1 with the reason in errno. */
static int listen_on(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, saved;

	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (is_left_over(&address))
		unlink(path);
	if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
	    listen(fd, CLIENTS_MAX) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* Signals are for QEMU's main thread, so the new thread starts with all blocked. */
static GThread *start_thread(struct server *server)
{
	sigset_t all, before;
	GThread *thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	thread = g_thread_new("orch-counter", serve, server);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return thread;
}

struct server *server_start(const char *path, const char **problem)
{
	struct server *server = g_new0(struct server, 1);

	for (int i = 0; i < CLIENTS_MAX; i++) {
		server->clients[i].fd = -1;
		server->clients[i].out = g_string_new(NULL);
	}
	server->path = g_strdup(path);
	server->listener = listen_on(path);
	if (server->listener < 0 || pipe2(server->wake, O_CLOEXEC) < 0) {
		*problem = strerror(errno);
		return NULL;
	}
	server->thread = start_thread(server);
	return server;
}

void server_stop(struct server *server)
{
	unlink(server->path);
	close(server->wake[1]);
	g_thread_join(server->thread);
}

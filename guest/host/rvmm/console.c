/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "error.h"

/* Output waits this long for more of its kind: a line costs one wake-up, not eighty. */
#define FLUSH_NS     2000000L
#define BUFFER_BYTES 16384U
#define TAIL_BYTES   4096U
#define SEND_BYTES   (1 << 20)

static const char truncated[] = "\nrvmm: console log truncated\n";
static const char busy[] = "\r\n[rvmm: another connection has the keyboard]\r\n";

struct client {
	int fd;        /* -1: free */
	bool told;     /* that it has not the keyboard */
	bool mute;     /* its input has ended; it goes on reading */
};

struct console {
	int log, listener, timer;
	pthread_mutex_t lock;           /* protects the rest; clients' input is the main thread's alone */
	uint8_t buffer[BUFFER_BYTES];
	size_t used;
	uint8_t tail[TAIL_BYTES];
	size_t total;                   /* bytes that went through the tail */
	uint64_t room;                  /* of the log, bytes; 0: it has ended */
	struct client clients[CONSOLE_CLIENTS];
	struct client *writer;
};

/* ---- Output; under the lock -------------------------------------------------------------------------------- */

static void drop(struct console *console, struct client *client)
{
	(void)close(client->fd);
	client->fd = -1;
	if (console->writer == client)
		console->writer = NULL;
}

/* A reader that does not keep up is dropped: the guest waits for nobody. */
static void send_to(struct console *console, struct client *client, const void *bytes, size_t count)
{
	if (client->fd >= 0 && count != 0 &&
	    send(client->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)count)
		drop(console, client);
}

static void append_log(const struct console *console, const void *bytes, size_t size)
{
	size_t done = 0;
	ssize_t count;

	while (done < size) {
		count = write(console->log, (const uint8_t *)bytes + done, size - done);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return; /* a full disk must not end the guest */
		done += (size_t)count;
	}
}

/* A guest that prints without end must not fill the host's memory. */
static void write_log(struct console *console)
{
	size_t size = console->used < console->room ? console->used : (size_t)console->room;

	if (console->room == 0)
		return;
	append_log(console, console->buffer, size);
	console->room -= size;
	if (console->room == 0)
		append_log(console, truncated, sizeof(truncated) - 1);
}

static void remember(struct console *console)
{
	size_t i;

	for (i = 0; i < console->used; i++)
		console->tail[console->total++ % TAIL_BYTES] = console->buffer[i];
}

static void flush(struct console *console)
{
	unsigned int i;

	if (console->used == 0)
		return;
	write_log(console);
	remember(console);
	for (i = 0; i < CONSOLE_CLIENTS; i++)
		send_to(console, &console->clients[i], console->buffer, console->used);
	console->used = 0;
}

void console_write(struct console *console, const uint8_t *bytes, size_t count)
{
	static const struct itimerspec soon = { .it_value.tv_nsec = FLUSH_NS };
	size_t done, part;

	(void)pthread_mutex_lock(&console->lock);
	for (done = 0; done < count; done += part) {
		if (console->used == BUFFER_BYTES)
			flush(console);
		if (console->used == 0)
			(void)timerfd_settime(console->timer, 0, &soon, NULL);
		part = count - done < BUFFER_BYTES - console->used ? count - done : BUFFER_BYTES - console->used;
		memcpy(console->buffer + console->used, bytes + done, part);
		console->used += part;
	}
	(void)pthread_mutex_unlock(&console->lock);
}

void console_flush(struct console *console)
{
	(void)pthread_mutex_lock(&console->lock);
	flush(console);
	(void)pthread_mutex_unlock(&console->lock);
}

/* ---- Connections ------------------------------------------------------------------------------------------- */

/* What was printed lately, from the start of a line on. */
static void send_tail(struct console *console, struct client *client)
{
	uint8_t lines[TAIL_BYTES];
	size_t start = console->total > TAIL_BYTES ? console->total - TAIL_BYTES : 0, count = console->total - start, i;
	const uint8_t *first = lines, *newline;

	for (i = 0; i < count; i++)
		lines[i] = console->tail[(start + i) % TAIL_BYTES];
	newline = start == 0 ? NULL : memchr(lines, '\n', count);
	if (newline != NULL)
		first = newline + 1;
	send_to(console, client, first, count - (size_t)(first - lines));
}

static void admit(struct console *console)
{
	static const char full[] = "[rvmm: too many connections]\r\n";
	const int bytes = SEND_BYTES;
	int fd = accept4(console->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	unsigned int i;

	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	for (i = 0; i < CONSOLE_CLIENTS; i++) {
		if (console->clients[i].fd >= 0)
			continue;
		console->clients[i] = (struct client){ .fd = fd };
		flush(console);
		send_tail(console, &console->clients[i]);
		return;
	}
	(void)send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(fd);
}

/* Read what a client typed into `bytes`; 0: nothing for the guest. */
static size_t read_client(struct console *console, struct client *client, uint8_t *bytes, size_t size)
{
	ssize_t count = recv(client->fd, bytes, size, MSG_DONTWAIT);

	if (count < 0) {
		if (errno != EAGAIN && errno != EINTR)
			drop(console, client);
		return 0;
	}
	if (count == 0) {
		client->mute = true;
		if (console->writer == client)
			console->writer = NULL;
		return 0;
	}
	if (console->writer == NULL)
		console->writer = client;
	if (console->writer == client)
		return (size_t)count;
	if (!client->told)
		send_to(console, client, busy, sizeof(busy) - 1);
	client->told = true;
	return 0;
}

unsigned int console_poll(struct console *console, struct pollfd *fds, size_t room)
{
	unsigned int i;

	fds[0] = (struct pollfd){ .fd = console->listener, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = console->timer, .events = POLLIN };
	(void)pthread_mutex_lock(&console->lock);
	/* poll() leaves out negative descriptors; without room, one that hung up is still noticed. */
	for (i = 0; i < CONSOLE_CLIENTS; i++)
		fds[2 + i] = (struct pollfd){ .fd = console->clients[i].fd,
					      .events = room != 0 && !console->clients[i].mute ? POLLIN : 0 };
	(void)pthread_mutex_unlock(&console->lock);
	return CONSOLE_POLL;
}

/* `last`: the guest has got its input of this pass, and `room` is no longer true. Another client that would have the keyboard
 * now, since the guest's echo has cost its owner the connection, waits for the next. True: the guest got some. */
static bool serve_client(struct console *console, const struct pollfd *fd, struct client *client, size_t room, bool last,
			 void (*input)(void *context, const uint8_t *bytes, size_t count), void *context)
{
	uint8_t bytes[256];
	size_t count = 0;

	(void)pthread_mutex_lock(&console->lock);
	if (client->fd == fd->fd && client->fd >= 0) {
		if ((fd->revents & POLLIN) != 0 && room != 0) {
			if (!last || console->writer != NULL)
				count = read_client(console, client, bytes, room < sizeof(bytes) ? room : sizeof(bytes));
		} else if ((fd->revents & (POLLHUP | POLLERR)) != 0) {
			drop(console, client);
		}
	}
	(void)pthread_mutex_unlock(&console->lock);
	/* Without the lock: the guest may answer at once. */
	if (count != 0)
		input(context, bytes, count);
	return count != 0;
}

void console_serve(struct console *console, const struct pollfd *fds, unsigned int count, size_t room,
		   void (*input)(void *context, const uint8_t *bytes, size_t count), void *context)
{
	uint64_t expirations;
	bool served = false;
	unsigned int i;

	if (fds[1].revents != 0 && read(console->timer, &expirations, sizeof(expirations)) > 0)
		console_flush(console);
	for (i = 2; i < count; i++)
		if (fds[i].revents != 0)
			served |= serve_client(console, &fds[i], &console->clients[i - 2], room, served, input, context);
	if (fds[0].revents != 0) {
		(void)pthread_mutex_lock(&console->lock);
		admit(console);
		(void)pthread_mutex_unlock(&console->lock);
	}
}

/* ---- Opening ----------------------------------------------------------------------------------------------- */

static int open_log(struct console *console, const char *dir)
{
	char *path;

	if (asprintf(&path, "%s/console.log", dir) < 0)
		return fail("no memory");
	console->log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (console->log < 0)
		(void)fail_errno("%s", path);
	free(path);
	return console->log < 0 ? -1 : 0;
}

static int open_socket(struct console *console, const char *dir)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int length = snprintf(name.sun_path, sizeof(name.sun_path), "%s/console.sock", dir);

	if (length < 0 || (size_t)length >= sizeof(name.sun_path))
		return fail("%s: too long for the name of a socket", dir);
	console->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (console->listener < 0 || bind(console->listener, (const struct sockaddr *)&name, sizeof(name)) < 0 ||
	    listen(console->listener, (int)CONSOLE_CLIENTS) < 0)
		return fail_errno("%s", name.sun_path);
	return 0;
}

struct console *console_open(const char *dir)
{
	struct console *console = calloc(1, sizeof(*console));
	unsigned int i;

	if (console == NULL) {
		(void)fail("no memory");
		return NULL;
	}
	(void)pthread_mutex_init(&console->lock, NULL);
	console->log = console->listener = -1;
	console->room = CONSOLE_LOG_BYTES - (sizeof(truncated) - 1);
	for (i = 0; i < CONSOLE_CLIENTS; i++)
		console->clients[i].fd = -1;
	console->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (console->timer < 0 || open_log(console, dir) < 0 || open_socket(console, dir) < 0) {
		if (console->timer < 0)
			(void)fail_errno("timerfd");
		console_close(console);
		return NULL;
	}
	return console;
}

void console_close(struct console *console)
{
	unsigned int i;

	for (i = 0; i < CONSOLE_CLIENTS; i++)
		if (console->clients[i].fd >= 0)
			(void)close(console->clients[i].fd);
	if (console->listener >= 0)
		(void)close(console->listener);
	if (console->log >= 0)
		(void)close(console->log);
	if (console->timer >= 0)
		(void)close(console->timer);
	free(console);
}

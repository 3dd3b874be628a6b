/* SPDX-License-Identifier: Apache-2.0 */
/* Attach this terminal to a guest's console. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "commands.h"
#include "error.h"
#include "options.h"

#define LEAVE_KEY 0x1d /* Ctrl-] */

static struct termios saved;

static void restore_terminal(void)
{
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
}

static void restore_and_die(int number)
{
	restore_terminal();
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

/* Every key goes to the guest as it is. */
static void make_raw(void)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return;
	(void)atexit(restore_terminal);
	(void)signal(SIGTERM, restore_and_die);
	(void)signal(SIGHUP, restore_and_die);
	raw = saved;
	cfmakeraw(&raw);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
}

static int connect_to(const char *dir)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int length = snprintf(name.sun_path, sizeof(name.sun_path), "%s/console.sock", dir), fd;

	if (length < 0 || (size_t)length >= sizeof(name.sun_path))
		return fail("%s: too long for the name of a socket", dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&name, sizeof(name)) < 0)
		return fail_errno("%s: no guest runs there", dir);
	return fd;
}

static int write_all(int fd, const char *bytes, size_t size)
{
	ssize_t count;

	while (size != 0) {
		count = write(fd, bytes, size);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return -1;
		bytes += count;
		size -= (size_t)count;
	}
	return 0;
}

/* Copy what is there; 0: this side has ended. */
static int copy_output(int from)
{
	char bytes[4096];
	ssize_t count = read(from, bytes, sizeof(bytes));

	if (count < 0 && errno == EINTR)
		return 1;
	return count > 0 && write_all(STDOUT_FILENO, bytes, (size_t)count) == 0;
}

/* The same for keys; *open becomes false at the end of the input, 0 means leave. */
static int copy_keys(int to, bool *open)
{
	char bytes[256];
	ssize_t count = read(STDIN_FILENO, bytes, sizeof(bytes));
	const char *leave;

	if (count < 0 && errno == EINTR)
		return 1;
	if (count <= 0) {
		/* Somebody else may have the keyboard now. */
		*open = false;
		return shutdown(to, SHUT_WR) == 0;
	}
	leave = isatty(STDIN_FILENO) ? memchr(bytes, LEAVE_KEY, (size_t)count) : NULL;
	if (leave != NULL)
		count = leave - bytes;
	return write_all(to, bytes, (size_t)count) == 0 && leave == NULL;
}

/* Until the guest or the person leaves. Input that is not a terminal may end earlier: output goes on. */
static void relay(int fd)
{
	bool open = true;

	for (;;) {
		struct pollfd fds[] = { { .fd = fd, .events = POLLIN },
					{ .fd = open ? STDIN_FILENO : -1, .events = POLLIN },
					{ .fd = STDOUT_FILENO, .events = 0 } };

		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[0].revents != 0 && copy_output(fd) == 0)
			return;
		if (fds[1].revents != 0 && copy_keys(fd, &open) == 0)
			return;
		if ((fds[2].revents & (POLLERR | POLLHUP)) != 0)
			return;
	}
}

int command_console(int argc, char **argv)
{
	int fd;

	if (argc != 2)
		return command_error(EXIT_USAGE, "console: expected DIR");
	(void)signal(SIGPIPE, SIG_IGN);
	fd = connect_to(argv[1]);
	if (fd < 0)
		return command_failed(EXIT_ERROR);
	if (isatty(STDIN_FILENO)) {
		(void)fprintf(stderr, "[rvmm: console of %s; Ctrl-] leaves]\r\n", argv[1]);
		make_raw();
	}
	relay(fd);
	(void)close(fd);
	return EXIT_OK;
}

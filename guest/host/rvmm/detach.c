/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"

void detach_tell(int *parent, int code, const char *text)
{
	if (*parent < 0)
		return;
	(void)dprintf(*parent, "%c%s", '0' + code, text);
	(void)close(*parent);
	*parent = -1;
}

static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)setsid();
	if (null < 0)
		return;
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(null, STDOUT_FILENO);
	(void)dup2(null, STDERR_FILENO);
	(void)close(null);
}

/* The original process: wait until the other says how it went, or is gone. */
static int await_child(int from)
{
	char text[512];
	size_t used = 0;
	ssize_t count;

	while (used < sizeof(text) - 1) {
		count = read(from, text + used, sizeof(text) - 1 - used);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			break;
		used += (size_t)count;
	}
	text[used] = '\0';
	if (used == 0)
		return command_error(EXIT_ERROR, "ended during set-up");
	if (used > 1)
		return command_error(text[0] - '0', "%s", text + 1);
	return text[0] - '0';
}

bool detach(int *parent, int *code)
{
	int ends[2];
	pid_t child;

	*parent = -1;
	*code = EXIT_ERROR;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		(void)command_error(EXIT_ERROR, "pipe: %s", strerror(errno));
		return false;
	}
	child = fork();
	if (child < 0) {
		(void)command_error(EXIT_ERROR, "fork: %s", strerror(errno));
		return false;
	}
	if (child > 0) {
		(void)close(ends[1]);
		*code = await_child(ends[0]);
		return false;
	}
	(void)close(ends[0]);
	*parent = ends[1];
	leave_terminal();
	return true;
}

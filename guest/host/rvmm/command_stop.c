/* SPDX-License-Identifier: Apache-2.0 */
/* End a guest's VMM and wait until nothing of it is left. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "error.h"
#include "options.h"
#include "rundir.h"

#define SECONDS_MAX 86400U

/*
 * A handle of the VMM in `dir`; -1 with failure(): there is none. Its number may be given out again before the handle is
 * there, hence the second look: that a VMM with this number has the folder is true of one process only.
 */
static int open_guest(const char *dir)
{
	int pid = rundir_owner(dir), process;

	if (pid < 0)
		return -1;
	process = pid == 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	if (process >= 0 && rundir_owner(dir) == pid)
		return process;
	if (process >= 0)
		(void)close(process);
	return fail("%s: no guest runs there", dir);
}

static long long now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The handle becomes readable when the process has closed its files, and a realm is taken apart before its file is closed.
 * (Its folder under /proc loses its content long before.) */
static int await_end(int process, long long deadline)
{
	struct pollfd fd = { .fd = process, .events = POLLIN };
	long long left;

	while ((left = deadline - now_ms()) >= 0) {
		if (poll(&fd, 1, (int)left) > 0)
			return EXIT_OK;
		if (left == 0)
			break;
	}
	return command_error(EXIT_TIMED_OUT, "stop: the guest is not gone yet");
}

int command_stop(int argc, char **argv)
{
	long long start = now_ms();
	uint64_t seconds;
	int process, number = SIGTERM;

	if (argc == 4 && strcmp(argv[3], "--kill") == 0)
		number = SIGKILL;
	else if (argc != 3)
		return command_error(EXIT_USAGE, "stop: expected DIR SECONDS [--kill]");
	if (options_number(argv[2], 0, SECONDS_MAX, &seconds) < 0)
		return command_error(EXIT_USAGE, "stop: expected seconds, got '%s'", argv[2]);
	process = open_guest(argv[1]);
	if (process < 0)
		return command_failed(EXIT_ERROR);
	/* ESRCH: it ended in between. */
	if (syscall(SYS_pidfd_send_signal, process, number, NULL, 0) < 0 && errno != ESRCH)
		return command_error(EXIT_ERROR, "stop: %s", strerror(errno));
	return await_end(process, start + (long long)seconds * 1000);
}

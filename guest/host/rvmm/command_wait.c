/* SPDX-License-Identifier: Apache-2.0 */
/* Wait until a guest's console has shown a text, or until the guest has ended. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "error.h"
#include "options.h"
#include "rundir.h"

#define LAST_LINES  20U
#define SECONDS_MAX 86400U
#define LINE_BYTES  4096U

struct search {
	const char *text;
	int log;
	char line[LINE_BYTES + 1]; /* the last, unfinished line of the log; the rest of a longer one is its own line */
	size_t used;
};

static long long now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool take_byte(struct search *search, char byte)
{
	if (byte == '\n' || search->used == LINE_BYTES)
		search->used = 0;
	if (byte == '\n' || byte == '\0')
		return false;
	search->line[search->used++] = byte;
	search->line[search->used] = '\0';
	/* It can only be new if it ends here. */
	return search->used >= strlen(search->text) &&
	       strcmp(search->line + search->used - strlen(search->text), search->text) == 0;
}

/* Read on to the end of the log; has the text been there? */
static bool found(struct search *search)
{
	char bytes[4096];
	ssize_t count, i;

	while ((count = read(search->log, bytes, sizeof(bytes))) > 0)
		for (i = 0; i < count; i++)
			if (take_byte(search, bytes[i]))
				return true;
	return false;
}

/* ---- The guest has ended ------------------------------------------------------------------------------------ */

static void print_file_end(int fd, unsigned int lines)
{
	char bytes[16384];
	off_t size = lseek(fd, 0, SEEK_END), start = size > (off_t)sizeof(bytes) ? size - (off_t)sizeof(bytes) : 0;
	ssize_t count = pread(fd, bytes, sizeof(bytes), start), i;
	unsigned int newlines = 0;

	if (count <= 0)
		return;
	for (i = count - 1; i > 0; i--)
		if (bytes[i - 1] == '\n' && ++newlines == lines)
			break;
	(void)fwrite(bytes + i, (size_t)(count - i), 1, stderr);
	if (bytes[count - 1] != '\n')
		(void)fputc('\n', stderr);
}

static int ended(const struct search *search, const char *dir)
{
	char *path, line[600] = "";
	FILE *file = NULL;

	print_file_end(search->log, LAST_LINES);
	if (asprintf(&path, "%s/exit", dir) >= 0) {
		file = fopen(path, "re");
		free(path);
	}
	if (file == NULL || fgets(line, sizeof(line), file) == NULL)
		(void)snprintf(line, sizeof(line), "error: rvmm died\n");
	if (file != NULL)
		(void)fclose(file);
	(void)fprintf(stderr, "rvmm: the guest ended before it printed '%s': %s", search->text, line);
	return EXIT_ERROR;
}

/* ---- Waiting ------------------------------------------------------------------------------------------------ */

static int open_log(const char *dir)
{
	char *path;
	int fd;

	if (asprintf(&path, "%s/console.log", dir) < 0)
		return fail("no memory");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		(void)fail_errno("%s: no guest there", path);
	free(path);
	return fd;
}

/* Something that becomes readable when the log grows. */
static int watch_log(const char *dir)
{
	char *path;
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), watch;

	if (fd < 0)
		return fail_errno("inotify");
	if (asprintf(&path, "%s/console.log", dir) < 0)
		return fail("no memory");
	watch = inotify_add_watch(fd, path, IN_MODIFY);
	free(path);
	return watch < 0 ? fail_errno("inotify: %s", dir) : fd;
}

/* Wait for one of both; how many milliseconds are left, 0: none. */
static int wait_events(int watch, int process, long long deadline)
{
	struct pollfd fds[] = { { .fd = watch, .events = POLLIN }, { .fd = process, .events = POLLIN } };
	char events[4096];
	long long left = deadline - now_ms();

	if (left <= 0)
		return 0;
	if (poll(fds, 2, (int)left) > 0 && fds[0].revents != 0)
		while (read(watch, events, sizeof(events)) > 0)
			;
	return 1;
}

static int search_log(struct search *search, const char *dir, int watch, long long deadline)
{
	for (;;) {
		/* Asked before the log is read: what a guest that is gone had printed is then complete. */
		int owner = rundir_owner(dir), process = -1, waited;

		if (owner < 0)
			return command_failed(EXIT_ERROR);
		if (owner > 0)
			process = (int)syscall(SYS_pidfd_open, owner, 0);
		if (found(search))
			return EXIT_OK;
		if (process < 0)
			return ended(search, dir);
		waited = wait_events(watch, process, deadline);
		(void)close(process);
		if (waited == 0)
			break;
	}
	return command_error(EXIT_TIMED_OUT, "wait: '%s' was not printed in time", search->text);
}

/* ---- The end alone ------------------------------------------------------------------------------------------ */

/*
 * Wait until the guest is gone. Who waits may lose interest, over a connection that does not end programs: then standard
 * input ends.
 */
static int wait_for_end(const char *dir)
{
	int owner = rundir_owner(dir);
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
	char bytes[256];

	if (owner < 0)
		return command_failed(EXIT_ERROR);
	if (owner > 0)
		fds[1].fd = (int)syscall(SYS_pidfd_open, owner, 0);
	/* Gone before there was a handle, or another process by now. */
	if (fds[1].fd < 0 || rundir_owner(dir) != owner)
		return EXIT_OK;
	while (poll(fds, 2, -1) < 0 || fds[1].revents == 0)
		if (fds[0].revents != 0 && read(STDIN_FILENO, bytes, sizeof(bytes)) <= 0)
			return EXIT_TIMED_OUT;
	return EXIT_OK;
}

int command_wait(int argc, char **argv)
{
	static struct search search;
	long long start = now_ms();
	uint64_t seconds;
	int watch;

	if (argc == 3 && strcmp(argv[2], "--end") == 0)
		return wait_for_end(argv[1]);
	if (argc != 4 || argv[2][0] == '\0' || strlen(argv[2]) > 512 || strchr(argv[2], '\n') != NULL ||
	    options_number(argv[3], 0, SECONDS_MAX, &seconds) < 0)
		return command_error(EXIT_USAGE, "wait: expected DIR TEXT SECONDS, or DIR --end");
	search.text = argv[2];
	search.log = open_log(argv[1]);
	watch = search.log < 0 ? -1 : watch_log(argv[1]);
	if (watch < 0)
		return command_failed(EXIT_ERROR);
	return search_log(&search, argv[1], watch, start + (long long)seconds * 1000);
}

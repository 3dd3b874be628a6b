/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "error.h"

static const char *const leftovers[] = { "pid", "exit", "console.log", "console.sock", "stats.json" };

/* Address of the socket that stands for a folder, or for the process in it if `pid` is not 0; its length, 0: no such
 * folder. */
static socklen_t claim_name(const char *path, int pid, struct sockaddr_un *name)
{
	struct stat status;
	int length;

	if (stat(path, &status) < 0)
		return 0;
	*name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	length = snprintf(name->sun_path + 1, sizeof(name->sun_path) - 1, "rvmm/%llx/%llx/%x",
			  (unsigned long long)status.st_dev, (unsigned long long)status.st_ino, (unsigned int)pid);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static int claim(int *fd, const char *path, int pid)
{
	struct sockaddr_un name;
	socklen_t length = claim_name(path, pid, &name);

	*fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (*fd < 0 || length == 0)
		return fail_errno("%s", path);
	if (bind(*fd, (const struct sockaddr *)&name, length) == 0)
		return 0;
	return errno == EADDRINUSE ? fail("%s: in use by a guest that runs", path) : fail_errno("%s", path);
}

static void fill_pid(void *context, FILE *out)
{
	(void)context;
	(void)fprintf(out, "%d\n", getpid());
}

int rundir_open(struct rundir *rundir, const char *path)
{
	unsigned int i;

	*rundir = (struct rundir){ .dir = -1, .claim = -1, .identity = -1 };
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return fail_errno("%s", path);
	rundir->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rundir->dir < 0)
		return fail_errno("%s", path);
	if (claim(&rundir->claim, path, 0) < 0 || claim(&rundir->identity, path, getpid()) < 0)
		return -1;
	for (i = 0; i < sizeof(leftovers) / sizeof(leftovers[0]); i++)
		if (unlinkat(rundir->dir, leftovers[i], 0) < 0 && errno != ENOENT)
			return fail_errno("%s/%s", path, leftovers[i]);
	return rundir_write(rundir, "pid", fill_pid, NULL);
}

int rundir_write(const struct rundir *rundir, const char *name, void (*fill)(void *context, FILE *out), void *context)
{
	char draft[64];
	FILE *out;
	int fd;

	(void)snprintf(draft, sizeof(draft), "%s.tmp", name);
	fd = openat(rundir->dir, draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (out == NULL)
		return fail_errno("%s", draft);
	fill(context, out);
	if (fclose(out) != 0)
		return fail_errno("%s", draft);
	return renameat(rundir->dir, draft, rundir->dir, name) < 0 ? fail_errno("%s", name) : 0;
}

void rundir_remove(const struct rundir *rundir, const char *name)
{
	(void)unlinkat(rundir->dir, name, 0);
}

void rundir_close(struct rundir *rundir)
{
	if (rundir->identity >= 0)
		(void)close(rundir->identity);
	if (rundir->claim >= 0)
		(void)close(rundir->claim);
	if (rundir->dir >= 0)
		(void)close(rundir->dir);
}

/* Does the live process `pid` have this folder? */
static bool claimed(const char *path, int pid)
{
	struct sockaddr_un name;
	socklen_t length = claim_name(path, pid, &name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool result = fd >= 0 && length != 0 && connect(fd, (const struct sockaddr *)&name, length) == 0;

	if (fd >= 0)
		(void)close(fd);
	return result;
}

int rundir_owner(const char *path)
{
	char *file = NULL;
	FILE *stream;
	int pid = 0;

	if (asprintf(&file, "%s/pid", path) < 0)
		return fail("no memory");
	stream = fopen(file, "re");
	free(file);
	if (stream == NULL)
		return fail_errno("%s: no guest there", path);
	if (fscanf(stream, "%d", &pid) != 1 || pid <= 0 || !claimed(path, pid))
		pid = 0;
	(void)fclose(stream);
	return pid;
}

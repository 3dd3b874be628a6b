/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "error.h"

/* ---- Claims ------------------------------------------------------------------------------------------------- */

/* Take place `place` of the file; -1: somebody has it. */
static int take_place(const struct stat *status, unsigned int place)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int length = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "rvmm-disk/%llx/%llx/%x",
			      (unsigned long long)status->st_dev, (unsigned long long)status->st_ino, place);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&name,
			   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* A reader has one place, whoever writes has all of them. */
static int claim(struct disk *disk, const struct stat *status, const char *path)
{
	unsigned int i, taken = 0;

	for (i = 0; i < DISK_READERS && (disk->writable || taken == 0); i++) {
		disk->claims[i] = take_place(status, i);
		taken += disk->claims[i] >= 0;
	}
	if (taken == (disk->writable ? DISK_READERS : 1))
		return 0;
	return fail("%s: in use by another guest%s", path, disk->writable ? ", and it is to be written" : " that may write to it");
}

/* ---- Opening ------------------------------------------------------------------------------------------------ */

static int measure(struct disk *disk, const struct stat *status, const char *path)
{
	off_t bytes;

	if (!S_ISREG(status->st_mode) && !S_ISBLK(status->st_mode))
		return fail("%s: not a disk image (expected a file or a block device)", path);
	bytes = lseek(disk->fd, 0, SEEK_END);
	if (bytes < 0)
		return fail_errno("%s", path);
	disk->bytes = (uint64_t)bytes;
	disk->sectors = (disk->bytes + SECTOR_BYTES - 1) / SECTOR_BYTES;
	if (disk->sectors == 0)
		return fail("%s: empty (a disk has a byte at least)", path);
	if (disk->writable && disk->bytes % SECTOR_BYTES != 0)
		return fail("%s: %llu bytes, which is no multiple of %u: the last sector of a disk that is to be written must be whole",
			    path, (unsigned long long)disk->bytes, (unsigned int)SECTOR_BYTES);
	return 0;
}

int disk_open(struct disk *disk, const char *path, bool writable)
{
	struct stat status;
	unsigned int i;

	*disk = (struct disk){ .writable = writable };
	for (i = 0; i < DISK_READERS; i++)
		disk->claims[i] = -1;
	/* Without waiting, if it is a pipe. */
	disk->fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (disk->fd < 0 && errno == ENOENT)
		return fail("%s: no such file", path);
	/* A folder that is to be written. */
	if (disk->fd < 0 && errno == EISDIR)
		return fail("%s: not a disk image (expected a file or a block device)", path);
	if (disk->fd < 0 || fstat(disk->fd, &status) < 0)
		return fail_errno("%s", path);
	return measure(disk, &status, path) < 0 ? -1 : claim(disk, &status, path);
}

void disk_close(struct disk *disk)
{
	unsigned int i;

	for (i = 0; i < DISK_READERS; i++)
		if (disk->claims[i] >= 0)
			(void)close(disk->claims[i]);
	if (disk->fd >= 0)
		(void)close(disk->fd);
}

/* ---- Use ---------------------------------------------------------------------------------------------------- */

/* The parts less their first `done` bytes; how many are left. */
static unsigned int advance(struct iovec **parts, unsigned int count, size_t done)
{
	while (count > 0 && done >= (*parts)->iov_len) {
		done -= (*parts)->iov_len;
		(*parts)++;
		count--;
	}
	if (count > 0) {
		(*parts)->iov_base = (char *)(*parts)->iov_base + done;
		(*parts)->iov_len -= done;
	}
	return count;
}

static void clear(const struct iovec *parts, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		memset(parts[i].iov_base, 0, parts[i].iov_len);
}

int disk_transfer(const struct disk *disk, bool write, struct iovec *parts, unsigned int count, uint64_t offset)
{
	ssize_t done;

	for (count = advance(&parts, count, 0); count > 0; count = advance(&parts, count, (size_t)done)) {
		done = write ? pwritev(disk->fd, parts, (int)count, (off_t)offset) :
			       preadv(disk->fd, parts, (int)count, (off_t)offset);
		if (done < 0 && errno == EINTR) {
			done = 0;
		} else if (done == 0 && !write && offset == disk->bytes && disk->bytes % SECTOR_BYTES != 0) {
			/* What the file's last sector lacks: requests are of whole ones, and none goes beyond it. */
			clear(parts, count);
			return 0;
		} else if (done <= 0) {
			return -1;
		}
		offset += (uint64_t)done;
	}
	return 0;
}

int disk_flush(const struct disk *disk)
{
	return fdatasync(disk->fd);
}

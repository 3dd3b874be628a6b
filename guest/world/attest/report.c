/* SPDX-License-Identifier: Apache-2.0 */
/* Linux, Documentation/ABI/testing/configfs-tsm-report: a folder is a report, `inblob` its challenge, `outblob` the token. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

#define FOLDER "/sys/kernel/config/tsm/report/attestd"

/* One write is one challenge. */
static int put(const unsigned char *data, size_t length)
{
	int file = open(FOLDER "/inblob", O_WRONLY | O_CLOEXEC), saved;
	ssize_t done;

	if (file < 0)
		return -1;
	done = write(file, data, length);
	saved = errno;
	(void)close(file);
	errno = done < 0 ? saved : EIO;
	return done == (ssize_t)length ? 0 : -1;
}

/* All of the token; more than fits is an error. */
static long get(unsigned char *token, size_t max)
{
	int file = open(FOLDER "/outblob", O_RDONLY | O_CLOEXEC), saved;
	size_t length = 0;
	ssize_t more = 0;

	if (file < 0)
		return -1;
	while (length < max && (more = read(file, token + length, max - length)) > 0)
		length += (size_t)more;
	saved = errno;
	(void)close(file);
	errno = more < 0 ? saved : EMSGSIZE;
	return more < 0 || length == max ? -1 : (long)length;
}

long report_token(const unsigned char challenge[REPORT_CHALLENGE_BYTES], unsigned char *token, size_t max)
{
	long length = -1;
	int saved;

	if (mkdir(FOLDER, 0700) < 0 && errno != EEXIST)     /* one that was left is as good as a new one */
		return -1;
	if (put(challenge, REPORT_CHALLENGE_BYTES) == 0)
		length = get(token, max);
	saved = errno;
	(void)rmdir(FOLDER);
	errno = saved;
	return length;
}

// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "arm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const char word[] = { 'g', 'o' };

int arm_bind(uint16_t port)
{
	const struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (const struct sockaddr *)&here, sizeof(here))) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

bool arm_wait(int fd)
{
	char datagram[sizeof(word) + 1];
	ssize_t length;

	do
		length = recv(fd, datagram, sizeof(datagram), 0);
	while ((length < 0 && errno == EINTR) ||
	       (length >= 0 && (length != sizeof(word) || memcmp(datagram, word, sizeof(word)))));
	close(fd);
	return length >= 0;
}

bool arm_go(const char *address, uint16_t port)
{
	struct sockaddr_in there = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd;
	bool sent;

	if (inet_pton(AF_INET, address, &there.sin_addr) != 1) {
		errno = EINVAL;
		return false;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	sent = sendto(fd, word, sizeof(word), 0, (const struct sockaddr *)&there, sizeof(there)) == sizeof(word);
	close(fd);
	return sent;
}

static bool kept(int fd, const int *keep)
{
	for (; *keep; keep++)
		if (*keep == fd)
			return true;
	return false;
}

bool arm_detach(const int *keep)
{
	struct rlimit files = { .rlim_cur = 1024 };
	pid_t child = fork();
	int nothing;

	if (child < 0)
		return false;
	if (child > 0) {
		dprintf(STDOUT_FILENO, "%d\n", (int)child);
		_exit(0);
	}
	setsid();
	nothing = open("/dev/null", O_RDWR);
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		dup2(nothing, fd);
	getrlimit(RLIMIT_NOFILE, &files);
	for (int fd = STDERR_FILENO + 1; fd < (int)(files.rlim_cur < 65536 ? files.rlim_cur : 65536); fd++)
		if (!kept(fd, keep))
			close(fd);
	return true;
}

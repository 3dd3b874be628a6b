/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "virtio_net.h"

static struct ifreq request_for(const char *name)
{
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return request;
}

static int refused(const char *name)
{
	switch (errno) {
	case EBUSY:
		return fail("--tap %s: another guest has it", name);
	case EPERM:
		return fail("--tap %s: no permission to make network interfaces (CAP_NET_ADMIN)", name);
	case EINVAL:
		return fail("--tap %s: an interface of another kind has this name", name);
	default:
		return fail_errno("--tap %s", name);
	}
}

int tap_open(const char *name)
{
	struct ifreq request = request_for(name);
	int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), header = VIRTIO_NET_HEADER_BYTES;

	if (tap < 0)
		return errno == ENOENT || errno == ENODEV ?
			fail("--tap %s: the host has no /dev/net/tun", name) : fail_errno("--tap %s: /dev/net/tun", name);
	request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (ioctl(tap, TUNSETIFF, &request) < 0) {
		(void)refused(name);
	} else if (ioctl(tap, TUNSETVNETHDRSZ, &header) < 0 || ioctl(tap, TUNSETOFFLOAD, 0UL) < 0) {
		(void)fail_errno("--tap %s: header", name);
	} else {
		return tap;
	}
	(void)close(tap);
	return -1;
}

/* ---- For another program -------------------------------------------------------------------------------------- */

/* Attached to the tap, with nothing said of headers or offloads: those are for the other program to choose. */
static int attach(const char *name)
{
	struct ifreq request = request_for(name);
	int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	request.ifr_flags = IFF_TAP | IFF_NO_PI;
	if (tap < 0 || ioctl(tap, TUNSETIFF, &request) == 0)
		return tap;
	(void)close(tap);
	return -1;
}

/* A tap that is let go of loses its carrier, which is told here. */
static int watch_links(void)
{
	const struct sockaddr_nl links = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int socket_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (socket_fd < 0 || bind(socket_fd, (const struct sockaddr *)&links, sizeof(links)) == 0)
		return socket_fd;
	(void)close(socket_fd);
	return -1;
}

/* Wait for news of a link until `deadline`; false: it has passed. */
static bool await_links(int watch, const struct timespec *deadline)
{
	struct pollfd fd = { .fd = watch, .events = POLLIN };
	struct timespec now;
	char news[8192];
	long long left;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	left = (deadline->tv_sec - now.tv_sec) * 1000LL + (deadline->tv_nsec - now.tv_nsec) / 1000000;
	if (left <= 0 || poll(&fd, 1, (int)left) == 0)
		return false;
	while (recv(watch, news, sizeof(news), 0) > 0)
		;
	return true;
}

static int attach_when_free(const char *name)
{
	struct timespec deadline;
	int watch = watch_links(), tap, error;

	if (watch < 0)
		return fail_errno("--tap %s: news of links", name);
	(void)clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += TAP_LEAVE_MS / 1000;
	do {
		tap = attach(name);
		error = errno;
	} while (tap < 0 && error == EBUSY && await_links(watch, &deadline));
	(void)close(watch);
	errno = error;
	return tap < 0 ? refused(name) : tap;
}

static int set_persistent(const char *name, int persistent)
{
	int tap = attach_when_free(name), result = 0;

	if (tap < 0)
		return -1;
	if (ioctl(tap, TUNSETPERSIST, persistent) < 0)
		result = fail_errno("--tap %s: persistence", name);
	(void)close(tap);
	return result;
}

int tap_make(const char *name)
{
	return set_persistent(name, 1);
}

int tap_remove(const char *name)
{
	return set_persistent(name, 0);
}

/* ---- Its address ---------------------------------------------------------------------------------------------- */

static struct sockaddr internet(uint32_t address)
{
	const struct sockaddr_in value = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(address) };
	struct sockaddr result;

	memcpy(&result, &value, sizeof(result));
	return result;
}

int tap_set_address(const char *name, uint32_t address, unsigned int prefix)
{
	struct ifreq request = request_for(name), mask = request, flags = request;
	int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result = 0;

	request.ifr_addr = internet(address);
	mask.ifr_netmask = internet(UINT32_MAX << (32 - prefix));
	if (control < 0)
		return fail_errno("--tap-address");
	if (ioctl(control, SIOCSIFADDR, &request) < 0 || ioctl(control, SIOCSIFNETMASK, &mask) < 0)
		result = fail_errno("--tap-address: %s does not take it", name);
	else if (ioctl(control, SIOCGIFFLAGS, &flags) < 0)
		result = fail_errno("--tap %s", name);
	flags.ifr_flags = (short)(flags.ifr_flags | IFF_UP);
	if (result == 0 && ioctl(control, SIOCSIFFLAGS, &flags) < 0)
		result = fail_errno("--tap %s: cannot bring it up", name);
	(void)close(control);
	return result;
}

void tap_offload(int tap, bool checksum, bool segments)
{
	unsigned long flags = (checksum ? TUN_F_CSUM : 0UL) | (segments ? TUN_F_TSO4 : 0UL);

	/* It took 0 when it was made; without the rest the host does the work itself. */
	if (ioctl(tap, TUNSETOFFLOAD, flags) < 0)
		(void)ioctl(tap, TUNSETOFFLOAD, 0UL);
}

bool tap_send(int tap, const struct iovec *parts, unsigned int count)
{
	return writev(tap, parts, (int)count) >= 0;
}

ssize_t tap_receive(int tap, void *frame, size_t size)
{
	ssize_t count = read(tap, frame, size);

	if (count >= 0)
		return count;
	return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
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

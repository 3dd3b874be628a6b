/* SPDX-License-Identifier: Apache-2.0 */
#include "realm.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "error.h"

int realm_failed(const struct realm_state *realm, const char *what)
{
	struct realm_last last = { .command = 0 };

	if (errno == ENOMEM) {
		(void)fail("realm: no memory in the host: %s", what);
		errno = ENOMEM;
		return -1;
	}
	if (errno != EPROTO || ioctl(realm->fd, REALM_LAST, &last) < 0)
		return fail_errno("realm: %s", what);
	return fail("realm: %s: the RMM refused command %#llx with status %#llx", what, (unsigned long long)last.command,
		    (unsigned long long)last.status);
}

int realm_call(const struct realm_state *realm, unsigned long request, void *argument, const char *what)
{
	return ioctl(realm->fd, request, argument) < 0 ? realm_failed(realm, what) : 0;
}

int realm_call_range(const struct realm_state *realm, unsigned long request, uint64_t base, uint64_t top, const char *what)
{
	struct realm_range range = { .base = base, .top = top };

	while (range.base < range.top)
		if (realm_call(realm, request, &range, what) < 0 && errno != EINTR)
			return -1;
	return 0;
}

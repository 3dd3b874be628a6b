// SPDX-License-Identifier: GPL-2.0-only
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/sched/signal.h>

#include "state.h"

static bool closing;

int realm_refused(struct realm *realm, u64 command, u64 status)
{
	realm->last = (struct realm_last){ .command = command, .status = status };
	return -EPROTO;
}

void realm_close_all(void)
{
	WRITE_ONCE(closing, true);
}

bool realm_closing(void)
{
	return READ_ONCE(closing);
}

int realm_breathe(void)
{
	cond_resched();
	if (realm_closing())
		return -ENODEV;
	return signal_pending(current) ? -EINTR : 0;
}

// SPDX-License-Identifier: GPL-2.0-only
#include <linux/align.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "granule.h"
#include "rmi.h"
#include "tables.h"

u64 protected_end(const struct realm *realm)
{
	return BIT_ULL(realm->ipa_bits - 1);
}

bool valid_range(u64 base, u64 top, u64 low, u64 high)
{
	return PAGE_ALIGNED(base | top) && base < top && base >= low && top <= high;
}

int tables_add(struct realm *realm, u64 ipa, u64 status)
{
	int level = RMI_INDEX(status) + 1;
	phys_addr_t table;
	u64 result;

	/* Callers try again until nothing is missing: an RMM that always misses something must not keep them for ever. */
	if (fatal_signal_pending(current))
		return -EINTR;
	table = granule_alloc();
	if (!table)
		return -ENOMEM;
	result = rmi(NULL, RMI_RTT_CREATE, realm->rd, table, ALIGN_DOWN(ipa, RTT_ENTRY_SIZE(level - 1)), level);
	if (result == RMI_SUCCESS) {
		realm->granules++;
		return 0;
	}
	granule_free(table);
	return realm_refused(realm, RMI_RTT_CREATE, result);
}

void taken_out(struct realm *realm, phys_addr_t granule)
{
	realm->granules--;
	granule_free(granule);
}

static void destroy_level(struct realm *realm, int level)
{
	u64 ipa = 0, out[4], status;
	unsigned long refused = 0;

	while (ipa < 2 * protected_end(realm)) {
		status = rmi(out, RMI_RTT_DESTROY, realm->rd, ipa, level);
		if (status == RMI_SUCCESS) {
			taken_out(realm, out[0]);
		} else if (!rmi_walk_ended(status)) {
			if (++refused > realm->granules)
				break;
			out[1] = 0;
		}
		ipa = max(ALIGN_DOWN(out[1], RTT_ENTRY_SIZE(level - 1)), ipa + RTT_ENTRY_SIZE(level - 1));
		cond_resched();
	}
}

void tables_destroy(struct realm *realm)
{
	int level;

	for (level = RTT_PAGE_LEVEL; level > realm->rtt_level; level--)
		destroy_level(realm, level);
}

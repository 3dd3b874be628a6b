/* SPDX-License-Identifier: Apache-2.0 */
/* The groups of checks, in the order in which they run, and the realm that most of them share. */
#ifndef CHECKS_H
#define CHECKS_H

#include "build.h"
#include "memory.h"
#include "realm_ops.h"
#include "rmi.h"
#include "run.h"
#include "tap.h"

#define LAB_VMID 5U

/* The first checks make it, step by step; the last take it apart. REC 0 starts runnable, REC 1 is switched on later. */
extern struct realm lab;

/* What RTT_READ_ENTRY says is to be this. */
#define EXPECT_ENTRY(realm, ipa, level, walk_level, state, desc, ripas)                                        \
	do {                                                                                                   \
		struct rmi_result entry_ = rmi(RMI_RTT_READ_ENTRY, (realm)->rd, ipa, level);                   \
		EXPECT(entry_.status, RMI_SUCCESS);                                                            \
		EXPECT(entry_.out[0], walk_level);                                                             \
		EXPECT(entry_.out[1], state);                                                                  \
		EXPECT(entry_.out[2], desc);                                                                   \
		EXPECT(entry_.out[3], ripas);                                                                  \
	} while (0)

extern const struct check checks_version[], checks_granule[], checks_realm[], checks_rtt[], checks_fold[],
	checks_data[], checks_unprotected[], checks_rec[], checks_enter[], checks_rsi[], checks_ripas[], checks_mmio[],
	checks_abort[], checks_gic[], checks_psci[], checks_token[], checks_hash[], checks_wide[],
	checks_state[], checks_two[], checks_stuck[], checks_off[], checks_end[];

#endif

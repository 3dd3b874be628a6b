/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * RMI 1.0 in rules: what an answer says of the state that realm, REC or tables are in (RMM specification DEN0137
 * 1.0-rel0).
 *
 * For the kernel and for user space.
 */
#ifndef RMI_RULES_H
#define RMI_RULES_H

#include "rmi_numbers.h"

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stdint.h>
#endif

/* Bytes that one entry of a table at `level` describes. */
#define RTT_ENTRY_SIZE(level) (1ULL << (12 + 9 * (RTT_PAGE_LEVEL - (level))))

/* A walk of the realm's tables ended early; RMI_INDEX() is the level that it came to. */
static inline bool rmi_walk_ended(uint64_t status)
{
	return RMI_STATUS(status) == RMI_ERROR_RTT;
}

/* It ended at an entry that has no table below it yet. At the last level it was the entry's state that did not fit. */
static inline bool rmi_lacks_table(uint64_t status)
{
	return rmi_walk_ended(status) && RMI_INDEX(status) < RTT_PAGE_LEVEL;
}

/* REC_ENTER: the realm has been switched off (index 1), for good. With index 0 it is not active yet. */
static inline bool rmi_realm_is_off(uint64_t status)
{
	return status == (RMI_ERROR_REALM | 1 << 8);
}

/* REC_ENTER: the REC is not runnable, that is, its vCPU is off. */
static inline bool rmi_rec_is_off(uint64_t status)
{
	return RMI_STATUS(status) == RMI_ERROR_REC;
}

#endif

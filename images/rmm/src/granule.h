/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Granule states (RMM 1.0, A2.2), one word for each granule that may be delegated: state, lock, reference
 * count.
 *
 * Lock order: RD, then REC, then DELEGATED; several of one state in rising address. A granule is only ever
 * waited for in the state in which it is wanted (granule_lock), so a caller that names a granule in a wrong
 * role is refused instead of made to wait: that is why locking by state cannot dead-lock whatever
 * addresses the host passes. RTT and DATA granules are reached through their realm, whose RD lock covers
 * them; their own lock is taken only for the moment in which their state changes.
 *
 * Invariant: a granule in state DELEGATED holds zeroes.
 */
#ifndef RMM_GRANULE_H
#define RMM_GRANULE_H

#include "types.h"

enum granule_state {
	GRANULE_UNDELEGATED,
	GRANULE_DELEGATED,
	GRANULE_RD,
	GRANULE_REC,
	GRANULE_DATA,
	GRANULE_RTT,
};

struct granule;

/* Tell the table what part of its range is memory. Called once, before any other CPU runs. */
void granule_init(uint64_t base, uint64_t size);

/* The granule at `pa`; NULL if `pa` is not aligned or not delegable. */
struct granule *granule_find(uint64_t pa);
uint64_t granule_address(const struct granule *granule);

/* Lock if the state is `state`; waits only while it is. */
bool granule_lock(struct granule *granule, enum granule_state state);
/* The same from an address, NULL if that cannot be. */
struct granule *granule_find_and_lock(uint64_t pa, enum granule_state state);
void granule_unlock(struct granule *granule);
/* Change the state and unlock, in one step. */
void granule_unlock_as(struct granule *granule, enum granule_state state);
/* Wipe, then unlock as DELEGATED. */
void granule_release(struct granule *granule);

/* Reference count: of an RD its RECs, of an RTT its live entries. Needs no lock. */
void granule_get(struct granule *granule, uint32_t count);
void granule_put(struct granule *granule, uint32_t count);
uint32_t granule_references(const struct granule *granule);

#endif

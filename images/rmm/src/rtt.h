/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Realm translation tables (RMM 1.0, A5): walks, entries. The RD lock covers all tables of a realm.
 *
 * An entry that the hardware must not use (descriptor bit 0 clear) keeps its state in bits that the walker ignores:
 * bit 2 ASSIGNED, bits 4:3 RIPAS, bits 47:12 address. Zero is UNASSIGNED with RIPAS EMPTY, so a wiped
 * granule is a valid fresh table; in the Unprotected half zero is UNASSIGNED_NS.
 */
#ifndef RMM_RTT_H
#define RMM_RTT_H

#include "realm.h"
#include "types.h"

#define RTT_ENTRIES    512U
#define RTT_PAGE_LEVEL 3U

/* Values are those of RTT_READ_ENTRY; the Unprotected half has the same three with the suffix _NS. */
enum rtt_state {
	RTT_UNASSIGNED,
	RTT_ASSIGNED,
	RTT_TABLE,
};

enum ripas {
	RIPAS_EMPTY,
	RIPAS_RAM,
	RIPAS_DESTROYED,
};

/* Where a walk ended: the entry at `level` that translates the address. */
struct rtt_walk {
	struct granule *granule;
	uint64_t *table;
	uint64_t base;                /* IPA of the table's first entry */
	unsigned int index;
	unsigned int level;           /* -1 is that of the largest number: what is counted from it is right */
	uint64_t leaf;                /* attributes of the realm's leaves */
};

static inline uint64_t rtt_span(unsigned int level)
{
	return UINT64_C(1) << (GRANULE_SHIFT + 9U * (RTT_PAGE_LEVEL - level));
}

/* Walk to `level`, or to where no table leads further. `ipa` is below realm_ipa_end(). */
void rtt_walk(const struct realm *realm, uint64_t ipa, unsigned int level, struct rtt_walk *walk);

uint64_t rtt_entry(const struct rtt_walk *walk);
enum rtt_state rtt_state(uint64_t entry, unsigned int level);
enum ripas rtt_ripas(uint64_t entry);
uint64_t rtt_entry_address(uint64_t entry);
/* Descriptor of a Protected entry where the walk stands. */
uint64_t rtt_protected(enum rtt_state state, enum ripas ripas, uint64_t pa, const struct rtt_walk *walk);
/* Write an entry. Without invalidation: for entries that were not valid before. */
void rtt_write(const struct rtt_walk *walk, uint64_t entry);
/* Write an entry; if what was there was valid, invalidate it before returning. */
void rtt_replace(const struct realm *realm, const struct rtt_walk *walk, uint64_t entry);

/* Descriptor that leads to the table at `pa`. */
uint64_t rtt_table_entry(uint64_t pa);
/* Is there anything at or after the walk's entry that a host must undo one by one? The IPA of the next such entry,
 * or of the table's end ("top" of DATA_DESTROY, RTT_DESTROY and RTT_UNMAP_UNPROTECTED). */
uint64_t rtt_next_live(const struct rtt_walk *walk, uint64_t ipa);

#endif

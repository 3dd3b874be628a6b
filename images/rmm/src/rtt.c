/* SPDX-License-Identifier: Apache-2.0 */
#include "rtt.h"

#include "arch.h"

#define ENTRY_VALID    BIT(0)
#define ENTRY_TYPE     UINT64_C(3)      /* table below the last level, page in it */
#define ENTRY_ASSIGNED BIT(2)           /* software, invalid entries only */
#define RIPAS_SHIFT    3
#define ENTRY_ADDRESS  MASK(47, 12)

/* Stage 2 with FWB: normal write-back, read and write, accessed; output is Realm (bit 55 clear). Inner shareable, which
 * with LPA2 VTCR_EL2 says for all. */
#define PROTECTED_ATTRIBUTES (UINT64_C(6) << 2 | UINT64_C(3) << 6 | BIT(10))
#define PROTECTED_SHAREABLE  (UINT64_C(3) << 8)

void rtt_walk(const struct realm *realm, uint64_t ipa, unsigned int level, struct rtt_walk *walk)
{
	unsigned int here = (unsigned int)realm->rd->level_start;
	uint64_t index = ipa / rtt_span(here);
	/* Root tables are concatenated: the index may exceed one table (Arm ARM D8.2). */
	uint64_t pa = realm->rd->rtt_base + index / RTT_ENTRIES * GRANULE_SIZE;

	for (;;) {
		walk->table = arch_granule(pa);
		walk->index = (unsigned int)(index % RTT_ENTRIES);
		if (here == level || rtt_state(rtt_entry(walk), here) != RTT_TABLE)
			break;
		pa = rtt_entry_address(rtt_entry(walk));
		here++;
		index = ipa / rtt_span(here);
	}
	walk->granule = granule_find(pa);
	walk->level = here;
	walk->leaf = PROTECTED_ATTRIBUTES | (realm_is_wide(realm->rd) ? 0 : PROTECTED_SHAREABLE);
	walk->base = ipa & ~(rtt_span(here) * RTT_ENTRIES - 1);
}

uint64_t rtt_entry(const struct rtt_walk *walk)
{
	return __atomic_load_n(&walk->table[walk->index], __ATOMIC_RELAXED);
}

enum rtt_state rtt_state(uint64_t entry, unsigned int level)
{
	if ((entry & ENTRY_VALID) != 0)
		return level != RTT_PAGE_LEVEL && (entry & ENTRY_TYPE) == ENTRY_TYPE ? RTT_TABLE : RTT_ASSIGNED;
	return (entry & ENTRY_ASSIGNED) != 0 ? RTT_ASSIGNED : RTT_UNASSIGNED;
}

enum ripas rtt_ripas(uint64_t entry)
{
	if ((entry & ENTRY_VALID) != 0)
		return RIPAS_RAM;
	return (enum ripas)(entry >> RIPAS_SHIFT & 3);
}

uint64_t rtt_entry_address(uint64_t entry)
{
	return entry & ENTRY_ADDRESS;
}

uint64_t rtt_protected(enum rtt_state state, enum ripas ripas, uint64_t pa, const struct rtt_walk *walk)
{
	uint64_t fields = (uint64_t)ripas << RIPAS_SHIFT;

	if (state == RTT_UNASSIGNED)
		return fields;
	if (ripas == RIPAS_RAM)
		return pa | walk->leaf | (walk->level == RTT_PAGE_LEVEL ? ENTRY_TYPE : ENTRY_VALID);
	return pa | ENTRY_ASSIGNED | fields;
}

void rtt_write(const struct rtt_walk *walk, uint64_t entry)
{
	__atomic_store_n(&walk->table[walk->index], entry, __ATOMIC_RELEASE);
	arch_table_barrier();
}

void rtt_replace(const struct realm *realm, const struct rtt_walk *walk, uint64_t entry)
{
	bool was_valid = (rtt_entry(walk) & ENTRY_VALID) != 0;

	rtt_write(walk, entry);
	if (was_valid)
		realm_invalidate(realm);
}

uint64_t rtt_table_entry(uint64_t pa)
{
	return pa | ENTRY_TYPE;
}

/* Index of the first entry from `from` on that is not UNASSIGNED; RTT_ENTRIES if there is none. Host's loops over sparse
 * tables come here for each page, so eight entries are looked at at once. */
static unsigned int next_assigned(const uint64_t *table, unsigned int from)
{
	const uint64_t any = ENTRY_VALID | ENTRY_ASSIGNED;
	unsigned int i = from;

	for (; i % 8 != 0; i++)
		if ((table[i] & any) != 0)
			return i;
	for (; i < RTT_ENTRIES; i += 8) {
		const uint64_t *e = &table[i];

		if (((e[0] | e[1] | e[2] | e[3] | e[4] | e[5] | e[6] | e[7]) & any) != 0)
			break;
	}
	for (; i < RTT_ENTRIES && (table[i] & any) == 0; i++)
		;
	return i;
}

uint64_t rtt_next_live(const struct rtt_walk *walk, uint64_t ipa)
{
	if (rtt_state(rtt_entry(walk), walk->level) != RTT_UNASSIGNED)
		return ipa;
	return walk->base + next_assigned(walk->table, walk->index + 1) * rtt_span(walk->level);
}

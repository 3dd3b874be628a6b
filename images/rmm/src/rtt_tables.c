/* SPDX-License-Identifier: Apache-2.0 */
/* RTT_CREATE, RTT_DESTROY, RTT_READ_ENTRY (RMM 1.0, B4.3). */
#include "arch.h"
#include "rtt.h"

/* Bits of an ASSIGNED_NS descriptor that READ_ENTRY shows: those that MAP_UNPROTECTED took. */
#define UNPROTECTED_VISIBLE (MASK(47, 12) | MASK(7, 6) | MASK(4, 2))

/* May `level` be that of a table created below the root, and `ipa` the first address it translates? */
static bool valid_table(const struct rd *rd, uint64_t ipa, uint64_t level)
{
	return level > rd->level_start && level <= RTT_PAGE_LEVEL && ipa < realm_ipa_end(rd) &&
	       ipa % rtt_span((unsigned int)level - 1) == 0;
}

/* Give the entries of a new table what the entry it replaces said for all their addresses. */
static void inherit(uint64_t *table, uint64_t parent, unsigned int level)
{
	bool leaf = (parent & 1) != 0;
	uint64_t step = rtt_state(parent, level - 1) == RTT_ASSIGNED ? rtt_span(level) : 0;
	unsigned int i;

	/* A block becomes pages at the last level: bit 1 of the descriptor. */
	if (leaf && level == RTT_PAGE_LEVEL)
		parent |= 2;
	for (i = 0; i < RTT_ENTRIES; i += 4, parent += 4 * step) {
		table[i] = parent;
		table[i + 1] = parent + step;
		table[i + 2] = parent + 2 * step;
		table[i + 3] = parent + 3 * step;
	}
}

/* The walk stands at the parent entry; `granule` is DELEGATED and locked. */
static void install_table(const struct realm *realm, const struct rtt_walk *walk, struct granule *granule)
{
	uint64_t parent = rtt_entry(walk), pa = granule_address(granule);
	bool live = rtt_state(parent, walk->level) == RTT_ASSIGNED && walk->base < realm_protected_end(realm->rd);

	if (parent != 0)
		inherit(arch_granule(pa), parent, walk->level + 1);
	/* Break before make: a block and the pages it becomes must not be cached together. */
	rtt_replace(realm, walk, 0);
	if (live)
		granule_get(granule, RTT_ENTRIES);
	else
		granule_get(walk->granule, 1);
	rtt_write(walk, rtt_table_entry(pa));
	granule_unlock_as(granule, GRANULE_RTT);
}

uint64_t rmi_rtt_create(const uint64_t *in, uint64_t *out)
{
	struct realm realm;
	struct rtt_walk walk;
	struct granule *granule;
	uint64_t status = RMI_ERROR_INPUT;

	(void)out;
	if (!realm_lock(in[0], &realm))
		return RMI_ERROR_INPUT;
	if (!valid_table(realm.rd, in[2], in[3]))
		goto unlock_realm;
	granule = granule_find_and_lock(in[1], GRANULE_DELEGATED);
	if (granule == NULL)
		goto unlock_realm;
	rtt_walk(&realm, in[2], (unsigned int)in[3] - 1, &walk);
	if (walk.level + 1 != in[3] || rtt_state(rtt_entry(&walk), walk.level) == RTT_TABLE) {
		status = rtt_error(&walk);
		granule_unlock(granule);
	} else {
		install_table(&realm, &walk, granule);
		status = RMI_SUCCESS;
	}
unlock_realm:
	realm_unlock(&realm);
	return status;
}

/* The walk stands at the parent entry, whose table has no live entries. */
static uint64_t remove_table(const struct realm *realm, const struct rtt_walk *walk, uint64_t ipa)
{
	uint64_t pa = rtt_entry_address(rtt_entry(walk));
	struct granule *granule = granule_find_and_lock(pa, GRANULE_RTT);
	bool is_protected = ipa < realm_protected_end(realm->rd);

	if (granule == NULL)
		panic("rtt: entry leads to a granule that is no table");
	rtt_write(walk, is_protected ? rtt_protected(RTT_UNASSIGNED, RIPAS_DESTROYED, 0, walk->level) : 0);
	/* Also what the table's Unprotected entries mapped, and walks that are cached half-way. */
	arch_invalidate_all(realm->rd->vttbr);
	granule_put(walk->granule);
	granule_release(granule);
	return pa;
}

uint64_t rmi_rtt_destroy(const uint64_t *in, uint64_t *out)
{
	struct realm realm;
	struct rtt_walk walk;
	uint64_t status = RMI_ERROR_INPUT;

	if (!realm_lock(in[0], &realm))
		return RMI_ERROR_INPUT;
	if (!valid_table(realm.rd, in[1], in[2]))
		goto unlock;
	rtt_walk(&realm, in[1], (unsigned int)in[2] - 1, &walk);
	if (walk.level + 1 != in[2] || rtt_state(rtt_entry(&walk), walk.level) != RTT_TABLE) {
		status = rtt_error(&walk);
		out[1] = rtt_next_live(&walk, in[1]);
	} else if (granule_references(granule_find(rtt_entry_address(rtt_entry(&walk)))) != 0) {
		status = RMI_STATUS(RMI_ERROR_RTT, in[2]);
		out[1] = in[1];
	} else {
		out[0] = remove_table(&realm, &walk, in[1]);
		out[1] = rtt_next_live(&walk, in[1]);
		status = RMI_SUCCESS;
	}
unlock:
	realm_unlock(&realm);
	return status;
}

uint64_t rmi_rtt_read_entry(const uint64_t *in, uint64_t *out)
{
	struct realm realm;
	struct rtt_walk walk;
	uint64_t entry, status = RMI_ERROR_INPUT;
	bool is_protected;

	if (!realm_lock(in[0], &realm))
		return RMI_ERROR_INPUT;
	if (in[2] < realm.rd->level_start || in[2] > RTT_PAGE_LEVEL || in[1] >= realm_ipa_end(realm.rd) ||
	    in[1] % rtt_span((unsigned int)in[2]) != 0)
		goto unlock;
	rtt_walk(&realm, in[1], (unsigned int)in[2], &walk);
	entry = rtt_entry(&walk);
	is_protected = in[1] < realm_protected_end(realm.rd);
	out[0] = walk.level;
	out[1] = (uint64_t)rtt_state(entry, walk.level);
	if (out[1] == RTT_ASSIGNED && !is_protected)
		out[2] = entry & UNPROTECTED_VISIBLE;
	else if (out[1] != RTT_UNASSIGNED)
		out[2] = rtt_entry_address(entry);
	if (is_protected && out[1] != RTT_TABLE)
		out[3] = (uint64_t)rtt_ripas(entry);
	status = RMI_SUCCESS;
unlock:
	realm_unlock(&realm);
	return status;
}

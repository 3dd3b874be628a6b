/* SPDX-License-Identifier: Apache-2.0 */
/* RTT_CREATE, RTT_DESTROY, RTT_FOLD, RTT_READ_ENTRY (RMM 1.0, B4.3). */
#include "arch.h"
#include "rmi_commands.h"
#include "rmi_rtt.h"

/* Bits of an ASSIGNED_NS descriptor that READ_ENTRY shows: those that MAP_UNPROTECTED took. */
#define UNPROTECTED_VISIBLE (MASK(47, 12) | MASK(7, 6) | MASK(4, 2))
#define WIDE_VISIBLE        (MASK(49, 48) | MASK(9, 8))

/* May `level` be that of a table created below the root, and `ipa` the first address it translates? */
static bool valid_table(const struct rd *rd, uint64_t ipa, uint64_t level)
{
	int64_t number = (int64_t)level;

	return number > rd->level_start && number <= (int64_t)RTT_PAGE_LEVEL && ipa < realm_ipa_end(rd) &&
	       ipa % rtt_span((unsigned int)level - 1) == 0;
}

static bool is_protected(const struct realm *realm, uint64_t ipa)
{
	return ipa < realm_protected_end(realm->rd);
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
	uint64_t ipa = walk->base + walk->index * rtt_span(walk->level);
	bool live = rtt_state(parent, walk->level) == RTT_ASSIGNED && is_protected(realm, ipa);

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

uint64_t rmi_rtt_create(uint64_t rd, uint64_t pa, uint64_t ipa, uint64_t level)
{
	struct realm realm;
	struct rtt_walk walk;
	struct granule *granule;
	uint64_t status = RMI_ERROR_INPUT;

	if (!realm_lock(rd, &realm))
		return RMI_ERROR_INPUT;
	if (!valid_table(realm.rd, ipa, level))
		goto unlock_realm;
	granule = granule_find_and_lock(pa, GRANULE_DELEGATED);
	if (granule == NULL)
		goto unlock_realm;
	rtt_walk(&realm, ipa, (unsigned int)level - 1, &walk);
	if (walk.level + 1 != level || rtt_state(rtt_entry(&walk), walk.level) == RTT_TABLE) {
		status = rmi_rtt_error(&walk);
		granule_unlock(granule);
	} else {
		install_table(&realm, &walk, granule);
		status = RMI_SUCCESS;
	}
unlock_realm:
	realm_unlock(&realm);
	return status;
}

/* The walk stands at the parent entry: replace the table it leads to by `entry`. Returns the table's address. */
static uint64_t remove_table(const struct realm *realm, const struct rtt_walk *walk, uint64_t entry)
{
	uint64_t pa = rtt_entry_address(rtt_entry(walk));
	struct granule *granule = granule_find_and_lock(pa, GRANULE_RTT);

	if (granule == NULL)
		panic("rtt: entry leads to a granule that is no table");
	/* Break before make. Invalidate also what the table's entries mapped, and walks that are cached half-way. */
	rtt_write(walk, 0);
	realm_invalidate(realm);
	rtt_write(walk, entry);
	/* Of its entries only data count, and then a block of them still does in the parent. */
	if (granule_references(granule) != 0)
		granule_put(granule, RTT_ENTRIES);
	else
		granule_put(walk->granule, 1);
	granule_release(granule);
	return pa;
}

/* Does the walk for a table's address stand at the entry that leads to it? */
static bool at_table(const struct rtt_walk *walk, uint64_t level)
{
	return walk->level + 1 == level && rtt_state(rtt_entry(walk), walk->level) == RTT_TABLE;
}

/* Lock the realm and walk to the entry that leads to the table at `level` for `ipa`; false, and unlocked, if there cannot
 * be such a table. */
static bool find_parent(uint64_t rd, uint64_t ipa, uint64_t level, struct realm *realm, struct rtt_walk *walk)
{
	if (!realm_lock(rd, realm))
		return false;
	if (!valid_table(realm->rd, ipa, level)) {
		realm_unlock(realm);
		return false;
	}
	rtt_walk(realm, ipa, (unsigned int)level - 1, walk);
	return true;
}

uint64_t rmi_rtt_destroy(uint64_t rd, uint64_t ipa, uint64_t level, struct out_2 *out)
{
	struct realm realm;
	struct rtt_walk walk;
	uint64_t status;

	if (!find_parent(rd, ipa, level, &realm, &walk))
		return RMI_ERROR_INPUT;
	if (!at_table(&walk, level)) {
		status = rmi_rtt_error(&walk);
		out->x2 = rtt_next_live(&walk, ipa);
	} else if (granule_references(granule_find(rtt_entry_address(rtt_entry(&walk)))) != 0) {
		status = RMI_STATUS(RMI_ERROR_RTT, level);
		out->x2 = ipa;
	} else {
		out->x1 = remove_table(&realm, &walk,
				      is_protected(&realm, ipa) ?
					      rtt_protected(RTT_UNASSIGNED, RIPAS_DESTROYED, 0, &walk) : 0);
		out->x2 = rtt_next_live(&walk, ipa);
		status = RMI_SUCCESS;
	}
	realm_unlock(&realm);
	return status;
}

/* The entry that says for all addresses of a table at `level` what its entries say; false if there is none (A5.5). */
static bool fold_entries(const uint64_t *table, unsigned int level, uint64_t *folded)
{
	enum rtt_state state = rtt_state(table[0], level);
	uint64_t step = state == RTT_ASSIGNED ? rtt_span(level) : 0;
	unsigned int i;

	/* There are blocks at levels 1 and 2, of contiguous and aligned memory. */
	if (state == RTT_TABLE ||
	    (state == RTT_ASSIGNED && (level == 1 || rtt_entry_address(table[0]) % rtt_span(level - 1) != 0)))
		return false;
	for (i = 1; i < RTT_ENTRIES; i++)
		if (table[i] != table[0] + i * step)
			return false;
	*folded = table[0];
	if ((table[0] & 1) != 0 && level == RTT_PAGE_LEVEL)
		*folded &= ~UINT64_C(2); /* as in inherit() */
	return true;
}

uint64_t rmi_rtt_fold(uint64_t rd, uint64_t ipa, uint64_t level, struct out_1 *out)
{
	struct realm realm;
	struct rtt_walk walk;
	uint64_t status, entry;

	if (!find_parent(rd, ipa, level, &realm, &walk))
		return RMI_ERROR_INPUT;
	if (!at_table(&walk, level)) {
		status = rmi_rtt_error(&walk);
	} else if (!fold_entries(arch_granule(rtt_entry_address(rtt_entry(&walk))), walk.level + 1, &entry)) {
		status = RMI_STATUS(RMI_ERROR_RTT, level);
	} else {
		out->x1 = remove_table(&realm, &walk, entry);
		status = RMI_SUCCESS;
	}
	realm_unlock(&realm);
	return status;
}

uint64_t rmi_rtt_read_entry(uint64_t rd, uint64_t ipa, uint64_t level, struct out_4 *out)
{
	struct realm realm;
	struct rtt_walk walk;
	uint64_t entry, status = RMI_ERROR_INPUT;
	bool own;

	if (!realm_lock(rd, &realm))
		return RMI_ERROR_INPUT;
	if ((int64_t)level < realm.rd->level_start || (int64_t)level > (int64_t)RTT_PAGE_LEVEL || ipa >= realm_ipa_end(realm.rd) ||
	    ipa % rtt_span((unsigned int)level) != 0)
		goto unlock;
	rtt_walk(&realm, ipa, (unsigned int)level, &walk);
	entry = rtt_entry(&walk);
	own = is_protected(&realm, ipa);
	out->x1 = (uint64_t)(int64_t)(int32_t)walk.level;
	out->x2 = (uint64_t)rtt_state(entry, walk.level);
	if (out->x2 == RTT_ASSIGNED && !own)
		out->x3 = entry & (UNPROTECTED_VISIBLE | (realm_is_wide(realm.rd) ? WIDE_VISIBLE : 0));
	else if (out->x2 != RTT_UNASSIGNED)
		out->x3 = rtt_entry_address(entry);
	if (own && out->x2 != RTT_TABLE)
		out->x4 = (uint64_t)rtt_ripas(entry);
	status = RMI_SUCCESS;
unlock:
	realm_unlock(&realm);
	return status;
}

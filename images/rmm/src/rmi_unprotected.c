/* SPDX-License-Identifier: Apache-2.0 */
/* RTT_MAP_UNPROTECTED, RTT_UNMAP_UNPROTECTED (RMM 1.0, B4.3): host memory in the Unprotected half. */
#include "rmi_commands.h"
#include "rmi_rtt.h"

/* Descriptor fields that the host chooses (A5.5). */
#define DESC_ADDRESS  MASK(47, 12)
#define DESC_WIDE     (MASK(49, 48) | MASK(9, 8)) /* with LPA2: more of the address, where shareability was */
#define DESC_S2AP     MASK(7, 6)
#define DESC_MEMATTR  MASK(4, 2)
#define MEMATTR_WB    (UINT64_C(6) << 2)
/* What the RMM adds: output in the Non-secure space, never executable, accessed, shareability. */
#define DESC_NS       BIT(55)
#define DESC_XN       (UINT64_C(2) << 53)
#define DESC_AF       BIT(10)
#define DESC_SH_OUTER (UINT64_C(2) << 8)
#define DESC_SH_INNER (UINT64_C(3) << 8)
#define DESC_BLOCK    UINT64_C(1)
#define DESC_PAGE     UINT64_C(3)

static bool valid_leaf(const struct rd *rd, uint64_t ipa, uint64_t level)
{
	/* Blocks exist from level 1 on (Arm ARM D8.3, 4 KiB granule without LPA2). */
	return level >= 1 && (int64_t)level >= rd->level_start && level <= RTT_PAGE_LEVEL &&
	       ipa >= realm_protected_end(rd) && ipa < realm_ipa_end(rd) && ipa % rtt_span((unsigned int)level) == 0;
}

static bool valid_descriptor(const struct rd *rd, uint64_t desc, unsigned int level)
{
	uint64_t fields = DESC_ADDRESS | DESC_S2AP | DESC_MEMATTR | (realm_is_wide(rd) ? DESC_WIDE : 0);

	return (desc & ~fields) == 0 && (desc & DESC_ADDRESS) % rtt_span(level) == 0;
}

static uint64_t shareability(const struct rd *rd, uint64_t desc)
{
	if (realm_is_wide(rd))
		return 0;
	return (desc & DESC_MEMATTR) == MEMATTR_WB ? DESC_SH_INNER : DESC_SH_OUTER;
}

static uint64_t complete(const struct rd *rd, uint64_t desc, unsigned int level)
{
	return desc | DESC_NS | DESC_XN | DESC_AF | shareability(rd, desc) |
	       (level == RTT_PAGE_LEVEL ? DESC_PAGE : DESC_BLOCK);
}

uint64_t rmi_rtt_map_unprotected(uint64_t rd, uint64_t ipa, uint64_t level, uint64_t desc)
{
	struct realm realm;
	struct rtt_walk walk;
	uint64_t status = RMI_ERROR_INPUT;

	if (!realm_lock(rd, &realm))
		return RMI_ERROR_INPUT;
	if (valid_leaf(realm.rd, ipa, level) && valid_descriptor(realm.rd, desc, (unsigned int)level)) {
		rtt_walk(&realm, ipa, (unsigned int)level, &walk);
		status = rmi_rtt_error(&walk);
		if (walk.level == level && rtt_state(rtt_entry(&walk), walk.level) == RTT_UNASSIGNED) {
			rtt_write(&walk, complete(realm.rd, desc, walk.level));
			status = RMI_SUCCESS;
		}
	}
	realm_unlock(&realm);
	return status;
}

uint64_t rmi_rtt_unmap_unprotected(uint64_t rd, uint64_t ipa, uint64_t level, struct out_1 *out)
{
	struct realm realm;
	struct rtt_walk walk;
	uint64_t status = RMI_ERROR_INPUT;

	if (!realm_lock(rd, &realm))
		return RMI_ERROR_INPUT;
	if (valid_leaf(realm.rd, ipa, level)) {
		rtt_walk(&realm, ipa, (unsigned int)level, &walk);
		status = rmi_rtt_error(&walk);
		if (walk.level == level && rtt_state(rtt_entry(&walk), walk.level) == RTT_ASSIGNED) {
			rtt_replace(&realm, &walk, 0);
			status = RMI_SUCCESS;
		}
		out->x1 = rtt_next_live(&walk, ipa);
	}
	realm_unlock(&realm);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* RTT_MAP_UNPROTECTED, RTT_UNMAP_UNPROTECTED (RMM 1.0, B4.3): host memory in the Unprotected half. */
#include "rtt.h"

/* Descriptor fields that the host chooses (A5.5). */
#define DESC_ADDRESS  MASK(47, 12)
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
	return level >= 1 && level >= rd->level_start && level <= RTT_PAGE_LEVEL &&
	       ipa >= realm_protected_end(rd) && ipa < realm_ipa_end(rd) && ipa % rtt_span((unsigned int)level) == 0;
}

static bool valid_descriptor(uint64_t desc, unsigned int level)
{
	return (desc & ~(DESC_ADDRESS | DESC_S2AP | DESC_MEMATTR)) == 0 && (desc & DESC_ADDRESS) % rtt_span(level) == 0;
}

static uint64_t complete(uint64_t desc, unsigned int level)
{
	return desc | DESC_NS | DESC_XN | DESC_AF |
	       ((desc & DESC_MEMATTR) == MEMATTR_WB ? DESC_SH_INNER : DESC_SH_OUTER) |
	       (level == RTT_PAGE_LEVEL ? DESC_PAGE : DESC_BLOCK);
}

uint64_t rmi_rtt_map_unprotected(const uint64_t *in, uint64_t *out)
{
	struct realm realm;
	struct rtt_walk walk;
	uint64_t status = RMI_ERROR_INPUT;

	(void)out;
	if (!realm_lock(in[0], &realm))
		return RMI_ERROR_INPUT;
	if (valid_leaf(realm.rd, in[1], in[2]) && valid_descriptor(in[3], (unsigned int)in[2])) {
		rtt_walk(&realm, in[1], (unsigned int)in[2], &walk);
		status = rtt_error(&walk);
		if (walk.level == in[2] && rtt_state(rtt_entry(&walk), walk.level) == RTT_UNASSIGNED) {
			rtt_write(&walk, complete(in[3], walk.level));
			status = RMI_SUCCESS;
		}
	}
	realm_unlock(&realm);
	return status;
}

uint64_t rmi_rtt_unmap_unprotected(const uint64_t *in, uint64_t *out)
{
	struct realm realm;
	struct rtt_walk walk;
	uint64_t status = RMI_ERROR_INPUT;

	if (!realm_lock(in[0], &realm))
		return RMI_ERROR_INPUT;
	if (valid_leaf(realm.rd, in[1], in[2])) {
		rtt_walk(&realm, in[1], (unsigned int)in[2], &walk);
		status = rtt_error(&walk);
		if (walk.level == in[2] && rtt_state(rtt_entry(&walk), walk.level) == RTT_ASSIGNED) {
			rtt_replace(&realm, &walk, 0);
			status = RMI_SUCCESS;
		}
		out[0] = rtt_next_live(&walk, in[1]);
	}
	realm_unlock(&realm);
	return status;
}

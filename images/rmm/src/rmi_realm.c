/* SPDX-License-Identifier: Apache-2.0 */
/* REALM_CREATE, REALM_ACTIVATE, REALM_DESTROY, REC_AUX_COUNT (RMM 1.0, B4.3). */
#include "arch.h"
#include "cpu.h"
#include "measure.h"
#include "realm.h"
#include "rmi.h"
#include "rmi_commands.h"
#include "rmi_pages.h"

#define MAX_ROOTS 16U

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);

/* B4.4 RmiRealmParams: is the requested translation one that VTCR_EL2 can express, and are the root tables in
 * the number that it needs (Arm ARM D8.2: concatenation of at most 16)? */
static bool valid_translation(const struct realm_params *params)
{
	unsigned int covered, most = (params->flags & REALM_LPA2) != 0 ? FEATURE_S2SZ_WIDE : FEATURE_S2SZ;

	if (params->s2sz < 25 || params->s2sz > most)
		return false;
	if (params->rtt_level_start < -1 || params->rtt_level_start > 2)
		return false;
	covered = GRANULE_SHIFT + 9U * (unsigned int)(4 - params->rtt_level_start);
	if (params->s2sz + 9U <= covered || params->s2sz > covered + 4)
		return false;
	return params->rtt_num_start == (params->s2sz > covered ? 1U << (params->s2sz - covered) : 1U);
}

static bool valid_params(const struct realm_params *params)
{
	if ((params->flags & (REALM_SVE | REALM_PMU)) != 0 || ((params->flags & REALM_LPA2) != 0 && !realm_can_be_wide()))
		return false;
	if (params->hash_algo > HASH_SHA_512 || !valid_translation(params))
		return false;
	/* Zero is reserved (A8); the SVE and PMU fields count only with their flags. */
	if (params->num_bps == 0 || params->num_bps > realm_max_bps() || params->num_wps == 0 ||
	    params->num_wps > realm_max_wps())
		return false;
	return params->rtt_base % (params->rtt_num_start * GRANULE_SIZE) == 0;
}

/* The RD and the root tables, which the host gives as one block, in rising address (lock order). */
static unsigned int list_granules(uint64_t rd, const struct realm_params *params, uint64_t *list)
{
	uint64_t end = params->rtt_base + params->rtt_num_start * GRANULE_SIZE, pa;
	unsigned int count = 0;

	if (end < params->rtt_base || (rd >= params->rtt_base && rd < end))
		return 0;
	if (rd < params->rtt_base)
		list[count++] = rd;
	for (pa = params->rtt_base; pa < end; pa += GRANULE_SIZE)
		list[count++] = pa;
	if (rd >= end)
		list[count++] = rd;
	return count;
}

static void unlock_list(const uint64_t *list, unsigned int count)
{
	while (count-- != 0)
		granule_unlock(granule_find(list[count]));
}

static bool lock_list(const uint64_t *list, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (granule_find_and_lock(list[i], GRANULE_DELEGATED) == NULL) {
			unlock_list(list, i);
			return false;
		}
	}
	return count != 0;
}

static void fill_rd(struct rd *rd, const struct realm_params *params)
{
	bool wide = (params->flags & REALM_LPA2) != 0;
	/* VTCR_EL2.SL0 for the 4 KiB granule: 2 starts at level 0, 1 at level 1, 0 at level 2; SL2 (bit 33) at -1. */
	uint64_t start = params->rtt_level_start < 0 ? BIT(33) : (uint64_t)(2 - params->rtt_level_start) << 6;

	/* Write-back inner-shareable walks, 48-bit output (no memory lies beyond), 16-bit VMID, RES1 bit 31. */
	rd->vtcr = (64U - params->s2sz) | start | (wide ? VTCR_DS : 0) | BIT(8) | BIT(10) | UINT64_C(3) << 12 | UINT64_C(5) << 16 |
		   BIT(19) | BIT(31);
	rd->vttbr = params->rtt_base | (uint64_t)params->vmid << 48;
	rd->rtt_base = params->rtt_base;
	rd->rtt_num_start = params->rtt_num_start;
	rd->level_start = (int32_t)params->rtt_level_start;
	rd->s2sz = params->s2sz;
	rd->hash_algo = params->hash_algo;
	rd->num_bps = params->num_bps;
	rd->num_wps = params->num_wps;
	memcpy(rd->rpv, params->rpv, sizeof(rd->rpv));
	measure_realm(rd, params);
}

uint64_t rmi_realm_create(uint64_t rd, uint64_t params_address)
{
	struct realm_params *params = (struct realm_params *)cpu_this()->in;
	uint64_t list[MAX_ROOTS + 1], pa;
	unsigned int count;

	if (granule_find(rd) == NULL || !is_granule_aligned(params_address) ||
	    !arch_ns_read(params, params_address, sizeof(*params)) || !valid_params(params))
		return RMI_ERROR_INPUT;
	count = list_granules(rd, params, list);
	if (!lock_list(list, count))
		return RMI_ERROR_INPUT;
	if (!realm_take_vmid(params->vmid)) {
		unlock_list(list, count);
		return RMI_ERROR_INPUT;
	}
	/* DELEGATED means zeroed: no entry of the tables and no field of the RD needs clearing. */
	fill_rd(arch_granule(rd), params);
	for (pa = params->rtt_base; pa < params->rtt_base + params->rtt_num_start * GRANULE_SIZE; pa += GRANULE_SIZE)
		granule_unlock_as(granule_find(pa), GRANULE_RTT);
	granule_unlock_as(granule_find(rd), GRANULE_RD);
	return RMI_SUCCESS;
}

uint64_t rmi_realm_activate(uint64_t rd)
{
	struct realm realm;
	uint64_t status = RMI_ERROR_REALM;

	if (!realm_lock(rd, &realm))
		return RMI_ERROR_INPUT;
	if (realm_state(realm.rd) == REALM_NEW) {
		realm_set_state(&realm, REALM_ACTIVE);
		status = RMI_SUCCESS;
	}
	realm_unlock(&realm);
	return status;
}

/* A realm is live while it has RECs or a root table has an entry with something behind it. */
static bool is_live(const struct realm *realm)
{
	const struct rd *rd = realm->rd;
	uint32_t i;

	if (granule_references(realm->granule) != 0)
		return true;
	for (i = 0; i < rd->rtt_num_start; i++)
		if (granule_references(granule_find(rd->rtt_base + i * GRANULE_SIZE)) != 0)
			return true;
	return false;
}

uint64_t rmi_realm_destroy(uint64_t rd)
{
	struct realm realm;
	uint32_t i;

	if (!realm_lock(rd, &realm))
		return RMI_ERROR_INPUT;
	if (is_live(&realm)) {
		realm_unlock(&realm);
		return RMI_ERROR_REALM;
	}
	/* Before the VMID or a table can serve another realm. */
	arch_invalidate(realm.rd->vttbr);
	for (i = 0; i < realm.rd->rtt_num_start; i++) {
		struct granule *root = granule_find_and_lock(realm.rd->rtt_base + i * GRANULE_SIZE, GRANULE_RTT);

		if (root == NULL)
			panic("realm: root table is not one");
		granule_release(root);
	}
	realm_give_vmid((uint16_t)(realm.rd->vttbr >> 48));
	granule_release(realm.granule);
	return RMI_SUCCESS;
}

uint64_t rmi_rec_aux_count(uint64_t rd, struct out_1 *out)
{
	struct realm realm;

	if (!realm_lock(rd, &realm))
		return RMI_ERROR_INPUT;
	realm_unlock(&realm);
	out->x1 = REC_AUX_GRANULES;
	return RMI_SUCCESS;
}

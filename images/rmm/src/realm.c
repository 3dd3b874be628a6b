/* SPDX-License-Identifier: Apache-2.0 */
#include "realm.h"

#include "arch.h"

#define VMIDS 65536U

/* One bit for each VMID in use; changed by atomic operations only. */
static uint64_t vmids[VMIDS / 64];

bool realm_take_vmid(uint16_t vmid)
{
	uint64_t bit = BIT(vmid % 64);

	return (__atomic_fetch_or(&vmids[vmid / 64], bit, __ATOMIC_ACQUIRE) & bit) == 0;
}

void realm_give_vmid(uint16_t vmid)
{
	(void)__atomic_fetch_and(&vmids[vmid / 64], ~BIT(vmid % 64), __ATOMIC_RELEASE);
}

bool realm_lock(uint64_t pa, struct realm *realm)
{
	realm->granule = granule_find_and_lock(pa, GRANULE_RD);
	realm->rd = realm->granule == NULL ? NULL : arch_granule(pa);
	return realm->rd != NULL;
}

void realm_unlock(const struct realm *realm)
{
	granule_unlock(realm->granule);
}

/* ID_AA64DFR0_EL1. */
#define DFR0_CRM 5
#define DFR0_OP2 0

unsigned int realm_max_bps(void)
{
	return (unsigned int)(arch_id_register(DFR0_CRM, DFR0_OP2) >> 12 & 15);
}

unsigned int realm_max_wps(void)
{
	return (unsigned int)(arch_id_register(DFR0_CRM, DFR0_OP2) >> 20 & 15);
}

/* ID_AA64MMFR0_EL1: TGran4_2, 0 if that is as TGran4. */
#define MMFR0_CRM 7
#define MMFR0_OP2 0

bool realm_can_be_wide(void)
{
	uint64_t mmfr0 = arch_id_register(MMFR0_CRM, MMFR0_OP2), stage2 = mmfr0 >> 40 & 15;

	return stage2 == 3 || (stage2 == 0 && (mmfr0 >> 28 & 15) == 1);
}

void realm_invalidate(const struct realm *realm)
{
	if (granule_references(realm->granule) != 0)
		arch_invalidate(realm->rd->vttbr);
}

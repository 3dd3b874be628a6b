/* SPDX-License-Identifier: Apache-2.0 */
/* GRANULE_DELEGATE, GRANULE_UNDELEGATE (RMM 1.0, B4.3). */
#include "arch.h"
#include "granule.h"
#include "rmi.h"
#include "rmi_commands.h"

uint64_t rmi_granule_delegate(uint64_t pa)
{
	struct granule *granule = granule_find_and_lock(pa, GRANULE_UNDELEGATED);

	if (granule == NULL)
		return RMI_ERROR_INPUT;
	if (!arch_delegate(pa)) {
		granule_unlock(granule);
		return RMI_ERROR_INPUT;
	}
	/* The platform's tables cover addresses that may have no memory (a small -m): give those back. */
	if (!arch_wipe(pa)) {
		(void)arch_undelegate(pa);
		granule_unlock(granule);
		return RMI_ERROR_INPUT;
	}
	granule_unlock_as(granule, GRANULE_DELEGATED);
	return RMI_SUCCESS;
}

uint64_t rmi_granule_undelegate(uint64_t pa)
{
	struct granule *granule = granule_find_and_lock(pa, GRANULE_DELEGATED);

	if (granule == NULL)
		return RMI_ERROR_INPUT;
	/* It holds zeroes: see the invariant in granule.h. */
	if (!arch_undelegate(pa)) {
		granule_unlock(granule);
		return RMI_ERROR_INPUT;
	}
	granule_unlock_as(granule, GRANULE_UNDELEGATED);
	return RMI_SUCCESS;
}

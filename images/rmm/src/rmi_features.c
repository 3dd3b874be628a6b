/* SPDX-License-Identifier: Apache-2.0 */
/* VERSION, FEATURES (RMM 1.0, B4.3): what a host can expect. */
#include "arch.h"
#include "realm.h"
#include "rmi.h"
#include "rmi_commands.h"

/* B2: this RMM speaks exactly one version. */
uint64_t rmi_version(uint64_t requested, struct out_2 *out)
{
	out->x1 = RMI_ABI_1_0;
	out->x2 = RMI_ABI_1_0;
	return requested == RMI_ABI_1_0 ? RMI_SUCCESS : RMI_ERROR_INPUT;
}

/* Register 0: LPA2 where the CPU has it, no SVE or PMU; SHA-256 and SHA-512. */
uint64_t rmi_features(uint64_t index, struct out_1 *out)
{
	if (index == 0)
		out->x1 = (realm_can_be_wide() ? FEATURE_S2SZ_WIDE | FEATURE_LPA2 : FEATURE_S2SZ) |
			  (uint64_t)realm_max_bps() << 14 | (uint64_t)realm_max_wps() << 20 | BIT(32) | BIT(33) |
			  (uint64_t)(arch_gic_list_registers() - 1) << 34 | FEATURE_RECS_ORDER << 38;
	return RMI_SUCCESS;
}

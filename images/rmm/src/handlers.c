/* SPDX-License-Identifier: Apache-2.0 */
/* The table of RMI commands (RMM 1.0, B4.3) and the way from registers to a handler and back. */
#include "arch.h"
#include "granule.h"
#include "realm.h"
#include "rec.h"
#include "rmi.h"
#include "rtt.h"
#include "run.h"

typedef uint64_t (*rmi_function)(const uint64_t *in, uint64_t *out);

/* B2: this RMM speaks exactly one version. */
static uint64_t rmi_version(const uint64_t *in, uint64_t *out)
{
	out[0] = ABI_VERSION_1_0;
	out[1] = ABI_VERSION_1_0;
	return in[0] == ABI_VERSION_1_0 ? RMI_SUCCESS : RMI_ERROR_INPUT;
}

/* B4.3 FEATURES, register 0: no LPA2, SVE or PMU; SHA-256. */
static uint64_t rmi_features(const uint64_t *in, uint64_t *out)
{
	out[0] = 0;
	if (in[0] == 0)
		out[0] = FEATURE_S2SZ | (uint64_t)realm_max_bps() << 14 | (uint64_t)realm_max_wps() << 20 | BIT(32) |
			 (uint64_t)(arch_gic_list_registers() - 1) << 34 | FEATURE_RECS_ORDER << 38;
	return RMI_SUCCESS;
}

/* The numbers of argument and result registers are for the reader: B4.3 side by side with the function. */
#define HANDLER(id, inputs, outputs, function) [(id) - RMI_FIRST] = (function)

static const rmi_function handlers[] = {
	HANDLER(RMI_VERSION, 1, 2, rmi_version),
	HANDLER(RMI_GRANULE_DELEGATE, 1, 0, rmi_granule_delegate),
	HANDLER(RMI_GRANULE_UNDELEGATE, 1, 0, rmi_granule_undelegate),
	HANDLER(RMI_DATA_CREATE, 5, 0, rmi_data_create),
	HANDLER(RMI_DATA_CREATE_UNKNOWN, 3, 0, rmi_data_create_unknown),
	HANDLER(RMI_DATA_DESTROY, 2, 2, rmi_data_destroy),
	HANDLER(RMI_REALM_ACTIVATE, 1, 0, rmi_realm_activate),
	HANDLER(RMI_REALM_CREATE, 2, 0, rmi_realm_create),
	HANDLER(RMI_REALM_DESTROY, 1, 0, rmi_realm_destroy),
	HANDLER(RMI_REC_CREATE, 3, 0, rmi_rec_create),
	HANDLER(RMI_REC_DESTROY, 1, 0, rmi_rec_destroy),
	HANDLER(RMI_REC_ENTER, 2, 0, rmi_rec_enter),
	HANDLER(RMI_RTT_CREATE, 4, 0, rmi_rtt_create),
	HANDLER(RMI_RTT_DESTROY, 3, 2, rmi_rtt_destroy),
	HANDLER(RMI_RTT_MAP_UNPROTECTED, 4, 0, rmi_rtt_map_unprotected),
	HANDLER(RMI_RTT_READ_ENTRY, 3, 4, rmi_rtt_read_entry),
	HANDLER(RMI_RTT_UNMAP_UNPROTECTED, 3, 1, rmi_rtt_unmap_unprotected),
	HANDLER(RMI_PSCI_COMPLETE, 3, 0, rmi_psci_complete),
	HANDLER(RMI_FEATURES, 1, 1, rmi_features),
	HANDLER(RMI_RTT_FOLD, 3, 1, rmi_rtt_fold),
	HANDLER(RMI_REC_AUX_COUNT, 1, 1, rmi_rec_aux_count),
	HANDLER(RMI_RTT_INIT_RIPAS, 3, 1, rmi_rtt_init_ripas),
	HANDLER(RMI_RTT_SET_RIPAS, 4, 1, rmi_rtt_set_ripas),
};

void rmi_handle(const uint64_t *request, uint64_t *answer)
{
	/* Bit 16 is the caller's hint that it holds no live SVE state (SMCCC 1.3), not part of the number. */
	uint64_t slot = (request[0] & 0xfffeffffU) - RMI_FIRST;

	/* Registers without a result are zero, also those of a command that failed. */
	answer[1] = answer[2] = answer[3] = answer[4] = 0;
	if (slot >= ARRAY_SIZE(handlers) || handlers[slot] == NULL)
		answer[0] = SMC_NOT_SUPPORTED;
	else
		answer[0] = handlers[slot](&request[1], &answer[1]);
}

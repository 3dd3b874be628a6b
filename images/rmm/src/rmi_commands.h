/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of RMI 1.0 and how many registers each takes and gives (RMM specification DEN0137 1.0-rel0, B4.3). */
#ifndef RMM_RMI_COMMANDS_H
#define RMM_RMI_COMMANDS_H

#include "rmi.h"
#include "smccc.h"

/* X(id, inputs, outputs, function): see smccc.h. */
#define RMI_COMMANDS(X)                                               \
	X(RMI_VERSION, 1, 2, rmi_version)                             \
	X(RMI_GRANULE_DELEGATE, 1, 0, rmi_granule_delegate)           \
	X(RMI_GRANULE_UNDELEGATE, 1, 0, rmi_granule_undelegate)       \
	X(RMI_DATA_CREATE, 5, 0, rmi_data_create)                     \
	X(RMI_DATA_CREATE_UNKNOWN, 3, 0, rmi_data_create_unknown)     \
	X(RMI_DATA_DESTROY, 2, 2, rmi_data_destroy)                   \
	X(RMI_REALM_ACTIVATE, 1, 0, rmi_realm_activate)               \
	X(RMI_REALM_CREATE, 2, 0, rmi_realm_create)                   \
	X(RMI_REALM_DESTROY, 1, 0, rmi_realm_destroy)                 \
	X(RMI_REC_CREATE, 3, 0, rmi_rec_create)                       \
	X(RMI_REC_DESTROY, 1, 0, rmi_rec_destroy)                     \
	X(RMI_REC_ENTER, 2, 0, rmi_rec_enter)                         \
	X(RMI_RTT_CREATE, 4, 0, rmi_rtt_create)                       \
	X(RMI_RTT_DESTROY, 3, 2, rmi_rtt_destroy)                     \
	X(RMI_RTT_MAP_UNPROTECTED, 4, 0, rmi_rtt_map_unprotected)     \
	X(RMI_RTT_READ_ENTRY, 3, 4, rmi_rtt_read_entry)               \
	X(RMI_RTT_UNMAP_UNPROTECTED, 3, 1, rmi_rtt_unmap_unprotected) \
	X(RMI_PSCI_COMPLETE, 3, 0, rmi_psci_complete)                 \
	X(RMI_FEATURES, 1, 1, rmi_features)                           \
	X(RMI_RTT_FOLD, 3, 1, rmi_rtt_fold)                           \
	X(RMI_REC_AUX_COUNT, 1, 1, rmi_rec_aux_count)                 \
	X(RMI_RTT_INIT_RIPAS, 3, 1, rmi_rtt_init_ripas)               \
	X(RMI_RTT_SET_RIPAS, 4, 1, rmi_rtt_set_ripas)

/* Their prototypes. The value is the status; results that a command does not set are zero. */
#define RMI_DECLARE(id, inputs, outputs, function) \
	uint64_t function(ARITY_LIST(IN_TYPES_##inputs OUT_TYPES_##outputs));
RMI_COMMANDS(RMI_DECLARE)
#undef RMI_DECLARE

#endif

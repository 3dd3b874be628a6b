/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and structures of RSI 1.0 (RMM specification DEN0137 1.0-rel0, B5). */
#ifndef RMM_RSI_ABI_H
#define RMM_RSI_ABI_H

#include "types.h"

#define RSI_VERSION          0xC4000190U
#define RSI_FEATURES         0xC4000191U
#define RSI_MEASUREMENT_READ 0xC4000192U
#define RSI_MEASUREMENT_EXTEND 0xC4000193U
#define RSI_ATTESTATION_TOKEN_INIT 0xC4000194U
#define RSI_ATTESTATION_TOKEN_CONTINUE 0xC4000195U
#define RSI_REALM_CONFIG     0xC4000196U
#define RSI_IPA_STATE_SET    0xC4000197U
#define RSI_IPA_STATE_GET    0xC4000198U
#define RSI_HOST_CALL        0xC4000199U

#define RSI_SUCCESS     UINT64_C(0)
#define RSI_ERROR_INPUT UINT64_C(1)
#define RSI_ERROR_STATE UINT64_C(2)
#define RSI_INCOMPLETE  UINT64_C(3)
#define RSI_ERROR_UNKNOWN UINT64_C(4)

/* Registers x1 to this one are results or zero. B1.2 says so of x1 to x16, the SMC Calling Convention (1.2, 2.6) that x4 and up
 * are kept where they hold no result; realms rely on the latter (Linux in RSI_ATTESTATION_TOKEN_CONTINUE). */
#define RSI_LAST_ZERO 3U

#define RSI_ABI_1_0 UINT64_C(0x10000)

#define RSI_CHANGE_DESTROYED UINT64_C(1)
#define RSI_ACCEPT           UINT64_C(0)
#define RSI_REJECT           UINT64_C(1)

/* RsiRealmConfig. */
struct rsi_realm_config {
	uint64_t ipa_width;
	uint8_t hash_algo, pad0[0x1f7];
	uint8_t rpv[64], pad1[0xdc0];
};
_Static_assert(offsetof(struct rsi_realm_config, hash_algo) == 0x8, "RsiRealmConfig");
_Static_assert(offsetof(struct rsi_realm_config, rpv) == 0x200, "RsiRealmConfig");
_Static_assert(sizeof(struct rsi_realm_config) == GRANULE_SIZE, "RsiRealmConfig");

/* RsiHostCall. */
struct rsi_host_call {
	uint16_t imm, pad[3];
	uint64_t gprs[31];
};
_Static_assert(offsetof(struct rsi_host_call, gprs) == 0x8, "RsiHostCall");
_Static_assert(sizeof(struct rsi_host_call) == 0x100, "RsiHostCall");

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* RSI commands on measurements and attestation tokens (RMM 1.0, B5.3). */
#ifndef RMM_RSI_ATTEST_H
#define RMM_RSI_ATTEST_H

#include "smccc.h"
#include "step.h"

enum step rsi_measurement_read(struct run *run, uint64_t index, struct out_8 *out);
enum step rsi_measurement_extend(struct run *run, const struct in_10 *in);
enum step rsi_attestation_token_init(struct run *run, const struct in_8 *challenge, struct out_1 *out);
enum step rsi_attestation_token_continue(struct run *run, uint64_t ipa, uint64_t offset, uint64_t size,
					 struct out_1 *out);

#endif

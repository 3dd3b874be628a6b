/* SPDX-License-Identifier: Apache-2.0 */
#include "rsi_attest.h"

#include "arch.h"
#include "measure.h"
#include "rsi_abi.h"
#include "rsi_page.h"
#include "token.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);

enum step rsi_measurement_read(struct run *run, uint64_t index, struct out_8 *out)
{
	struct rec *rec = run->rec;
	struct realm realm;

	if (index >= MEASUREMENTS)
		return run_smc_done(rec, RSI_ERROR_INPUT);
	/* Another REC may be extending it. */
	rec_lock_realm(rec, &realm);
	memcpy(out, realm.rd->measurement[index], MEASUREMENT_BYTES);
	realm_unlock(&realm);
	return run_smc_done(rec, RSI_SUCCESS);
}

enum step rsi_measurement_extend(struct run *run, const struct in_10 *in)
{
	uint64_t index = in->x1_to_x10[0], size = in->x1_to_x10[1];
	struct realm realm;

	if (index < 1 || index >= MEASUREMENTS || size > MEASUREMENT_BYTES)
		return run_smc_done(run->rec, RSI_ERROR_INPUT);
	rec_lock_realm(run->rec, &realm);
	measure_rem(&realm, index, &in->x1_to_x10[2], size);
	realm_unlock(&realm);
	return run_smc_done(run->rec, RSI_SUCCESS);
}

enum step rsi_attestation_token_init(struct run *run, const struct in_8 *challenge, struct out_1 *out)
{
	struct realm realm;
	size_t size;

	rec_lock_realm(run->rec, &realm);
	size = token_begin(&run->rec->token, &realm, (const uint8_t *)challenge);
	realm_unlock(&realm);
	/* The result lies where the challenge was. */
	out->x1 = size;
	return run_smc_done(run->rec, RSI_SUCCESS);
}

/* A7.2.2: the host has its interrupt at once; what there is of the signature stays for the realm's next call. */
static enum step interrupted(struct run *run, enum exit_reason reason)
{
	run->exit->reason = (uint8_t)reason;
	(void)run_smc_done(run->rec, RSI_INCOMPLETE);
	return STEP_LEAVE;
}

static enum step hand_out(struct run *run, uint64_t ipa, uint64_t offset, uint64_t size, struct out_1 *out)
{
	struct token *token = &run->rec->token;
	struct realm_page page;
	enum page_state state = realm_page_open(run->rec, ipa, &page);

	if (state != PAGE_OPEN)
		return rsi_page_not_open(run, state, ipa, page.level);
	out->x1 = token_read(token, page.bytes + offset, size);
	realm_page_close(&page);
	return run_smc_done(run->rec, token->state == TOKEN_NONE ? RSI_SUCCESS : RSI_INCOMPLETE);
}

enum step rsi_attestation_token_continue(struct run *run, uint64_t ipa, uint64_t offset, uint64_t size,
					 struct out_1 *out)
{
	struct rec *rec = run->rec;
	const struct rd *rd = arch_granule(granule_address(rec->realm));

	if (!is_granule_aligned(ipa) || ipa >= realm_protected_end(rd) || offset >= GRANULE_SIZE ||
	    size > GRANULE_SIZE - offset)
		return run_smc_done(rec, RSI_ERROR_INPUT);
	if (rec->token.state == TOKEN_NONE)
		return run_smc_done(rec, RSI_ERROR_STATE);
	switch (token_sign(&rec->token)) {
	case SIGNING_DONE:
		return hand_out(run, ipa, offset, size, out);
	case SIGNING_IRQ:
		out->x1 = 0;
		return interrupted(run, EXIT_IRQ);
	case SIGNING_FIQ:
		out->x1 = 0;
		return interrupted(run, EXIT_FIQ);
	default:
		token_end(&rec->token);
		return run_smc_done(rec, RSI_ERROR_UNKNOWN);
	}
}

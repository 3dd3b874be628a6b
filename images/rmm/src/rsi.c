/* SPDX-License-Identifier: Apache-2.0 */
/* RSI commands (RMM 1.0, B5.3) and the choice between them and PSCI. */
#include "rsi.h"

#include "arch.h"
#include "psci.h"
#include "rsi_abi.h"
#include "rsi_attest.h"
#include "rsi_page.h"
#include "run_abort.h"
#include "smccc.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

/* B1.2: results that the command does not list. A command is over once the realm is behind its SMC; two of them set their
 * results when the host has answered. */
static void clear_unlisted(struct rec *rec, unsigned int outputs)
{
	unsigned int i;

#pragma GCC unroll 3
	for (i = 1 + outputs; i <= RSI_LAST_ZERO; i++)
		rec->gprs[i] = 0;
}

static enum step rsi_version(struct run *run, uint64_t requested, struct out_2 *out)
{
	out->x1 = RSI_ABI_1_0;
	out->x2 = RSI_ABI_1_0;
	return run_smc_done(run->rec, requested == RSI_ABI_1_0 ? RSI_SUCCESS : RSI_ERROR_INPUT);
}

static enum step rsi_features(struct run *run, uint64_t index, struct out_1 *out)
{
	(void)index;
	out->x1 = 0;
	return run_smc_done(run->rec, RSI_SUCCESS);
}

static enum step rsi_realm_config(struct run *run, uint64_t ipa)
{
	struct rsi_realm_config *config;
	struct realm_page page;
	enum page_state state;

	if (!is_granule_aligned(ipa))
		return run_smc_done(run->rec, RSI_ERROR_INPUT);
	state = realm_page_open(run->rec, ipa, &page);
	if (state != PAGE_OPEN)
		return rsi_page_not_open(run, state, ipa, page.level);
	config = (struct rsi_realm_config *)(void *)page.bytes;
	memset(config, 0, sizeof(*config));
	config->ipa_width = page.realm.rd->s2sz;
	config->hash_algo = page.realm.rd->hash_algo;
	memcpy(config->rpv, page.realm.rd->rpv, sizeof(config->rpv));
	realm_page_close(&page);
	return run_smc_done(run->rec, RSI_SUCCESS);
}

static bool valid_range(const struct rec *rec, uint64_t base, uint64_t top)
{
	const struct rd *rd = arch_granule(granule_address(rec->realm));

	return is_granule_aligned(base | top) && base < top && top <= realm_protected_end(rd);
}

static enum step rsi_ipa_state_set(struct run *run, uint64_t base, uint64_t top, uint64_t ripas, uint64_t flags,
				   struct out_2 *out)
{
	struct rec *rec = run->rec;

	(void)out; /* set when the host has answered: run_finish_ripas() */
	/* Of x3 only the lowest byte is an input, of the flags one bit (B5.3.6). */
	ripas &= UINT8_MAX;
	if (!valid_range(rec, base, top) || ripas > RIPAS_RAM)
		return run_smc_done(rec, RSI_ERROR_INPUT);
	rec->ripas.address = base;
	rec->ripas.top = top;
	rec->ripas.value = (enum ripas)ripas;
	rec->ripas.change_destroyed = (flags & RSI_CHANGE_DESTROYED) != 0;
	rec->pending = PENDING_RIPAS;
	run->exit->reason = EXIT_RIPAS_CHANGE;
	run->exit->ripas_base = rec->ripas.address;
	run->exit->ripas_top = rec->ripas.top;
	run->exit->ripas_value = (uint8_t)rec->ripas.value;
	rec->pc += 4;
	return STEP_LEAVE;
}

void run_finish_ripas(struct run *run)
{
	struct rec *rec = run->rec;
	bool rejected = rec->ripas.value == RIPAS_RAM && rec->ripas.address != rec->ripas.top &&
			(run->enter->flags & ENTER_RIPAS_RESPONSE) != 0;

	rec->gprs[0] = RSI_SUCCESS;
	rec->gprs[1] = rec->ripas.address;
	rec->gprs[2] = rejected ? RSI_REJECT : RSI_ACCEPT;
	/* Nothing is allowed to the host beyond this request. */
	rec->ripas.top = rec->ripas.address;
}

/* Run of equal RIPAS from `base`, within one table. */
static uint64_t equal_until(const struct realm *realm, uint64_t base, uint64_t top, enum ripas *ripas)
{
	struct rtt_walk walk;
	uint64_t end;

	rtt_walk(realm, base, RTT_PAGE_LEVEL, &walk);
	*ripas = rtt_ripas(rtt_entry(&walk));
	end = (base & ~(rtt_span(walk.level) - 1)) + rtt_span(walk.level);
	for (walk.index++; walk.index < RTT_ENTRIES && end < top; walk.index++, end += rtt_span(walk.level))
		if (rtt_state(rtt_entry(&walk), walk.level) == RTT_TABLE || rtt_ripas(rtt_entry(&walk)) != *ripas)
			break;
	return end < top ? end : top;
}

static enum step rsi_ipa_state_get(struct run *run, uint64_t base, uint64_t top, struct out_2 *out)
{
	struct rec *rec = run->rec;
	struct realm realm;
	enum ripas ripas;

	if (!valid_range(rec, base, top))
		return run_smc_done(rec, RSI_ERROR_INPUT);
	rec_lock_realm(rec, &realm);
	out->x1 = equal_until(&realm, base, top, &ripas);
	realm_unlock(&realm);
	out->x2 = (uint64_t)ripas;
	return run_smc_done(rec, RSI_SUCCESS);
}

static enum step rsi_host_call(struct run *run, uint64_t ipa)
{
	struct rec *rec = run->rec;
	const struct rsi_host_call *call;
	struct realm_page page;
	enum page_state state;

	if (ipa % sizeof(*call) != 0)
		return run_smc_done(rec, RSI_ERROR_INPUT);
	state = realm_page_open(rec, ipa, &page);
	if (state != PAGE_OPEN)
		return rsi_page_not_open(run, state, ipa, page.level);
	call = (const struct rsi_host_call *)(const void *)(page.bytes + (ipa & GRANULE_MASK));
	run->exit->reason = EXIT_HOST_CALL;
	run->exit->imm = call->imm;
	memcpy(run->exit->gprs, call->gprs, sizeof(run->exit->gprs));
	realm_page_close(&page);
	rec->host_call_ipa = ipa;
	rec->pending = PENDING_HOST_CALL;
	return STEP_LEAVE;
}

enum step run_finish_host_call(struct run *run)
{
	struct rec *rec = run->rec;
	struct rsi_host_call *call;
	struct realm_page page;
	enum page_state state = realm_page_open(rec, rec->host_call_ipa, &page);

	if (state == PAGE_REFUSED) {
		clear_unlisted(rec, 0);
		return run_smc_done(rec, RSI_ERROR_INPUT);
	}
	if (state == PAGE_ABSENT) {
		/* The host took the page meanwhile: it must give one back before its answer can go anywhere. */
		rec->pending = PENDING_HOST_CALL;
		return run_leave_absent(run, rec->host_call_ipa, page.level);
	}
	call = (struct rsi_host_call *)(void *)(page.bytes + (rec->host_call_ipa & GRANULE_MASK));
	memcpy(call->gprs, run->enter->gprs, sizeof(call->gprs));
	realm_page_close(&page);
	clear_unlisted(rec, 0);
	return run_smc_done(rec, RSI_SUCCESS);
}

/* X(id, inputs, outputs, function): see smccc.h. */
#define RSI_COMMANDS(X)                                                         \
	X(RSI_VERSION, 1, 2, rsi_version)                                       \
	X(RSI_FEATURES, 1, 1, rsi_features)                                     \
	X(RSI_MEASUREMENT_READ, 1, 8, rsi_measurement_read)                     \
	X(RSI_MEASUREMENT_EXTEND, 10, 0, rsi_measurement_extend)                \
	X(RSI_ATTESTATION_TOKEN_INIT, 8, 1, rsi_attestation_token_init)         \
	X(RSI_ATTESTATION_TOKEN_CONTINUE, 3, 1, rsi_attestation_token_continue) \
	X(RSI_REALM_CONFIG, 1, 0, rsi_realm_config)                             \
	X(RSI_IPA_STATE_SET, 4, 2, rsi_ipa_state_set)                           \
	X(RSI_IPA_STATE_GET, 2, 2, rsi_ipa_state_get)                           \
	X(RSI_HOST_CALL, 1, 0, rsi_host_call)

#define CALL(id, inputs, outputs, function)                                                     \
	static enum step call_##function(struct run *run)                                       \
	{                                                                                       \
		uint64_t *x1 = &run->rec->gprs[1], pc = run->rec->pc;                           \
		enum step step = function(run IN_VALUES_##inputs(x1) OUT_VALUES_##outputs(x1)); \
                                                                                                \
		if (run->rec->pc != pc)                                                         \
			clear_unlisted(run->rec, outputs);                                      \
		return step;                                                                    \
	}
RSI_COMMANDS(CALL)

#define SLOT(id, inputs, outputs, function) [(id) - RSI_VERSION] = call_##function,
static enum step (*const calls[])(struct run *run) = { RSI_COMMANDS(SLOT) };

enum step run_smc(struct run *run)
{
	uint64_t slot = smc_function(run->rec->gprs[0]) - RSI_VERSION;

	if (slot < ARRAY_SIZE(calls) && calls[slot] != NULL)
		return calls[slot](run);
	return run_psci(run);
}

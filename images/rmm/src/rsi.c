/* SPDX-License-Identifier: Apache-2.0 */
/* RSI commands (RMM 1.0, B5.3) and the choice between them and PSCI. */
#include "rsi.h"

#include "arch.h"
#include "esr.h"
#include "realm_page.h"
#include "run.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

static enum step rsi_version(struct run *run)
{
	uint64_t asked = run->rec->gprs[1];

	run->rec->gprs[1] = ABI_VERSION_1_0;
	run->rec->gprs[2] = ABI_VERSION_1_0;
	return run_smc_done(run->rec, asked == ABI_VERSION_1_0 ? RSI_SUCCESS : RSI_ERROR_INPUT);
}

static enum step rsi_features(struct run *run)
{
	run->rec->gprs[1] = 0;
	return run_smc_done(run->rec, RSI_SUCCESS);
}

static enum step rsi_measurement_read(struct run *run)
{
	struct rec *rec = run->rec;
	const struct rd *rd = arch_granule(granule_address(rec->realm));
	uint64_t index = rec->gprs[1];

	/* No lock: the RIM is final once the realm runs, and nothing changes an REM in this RMM. */
	if (index >= MEASUREMENTS)
		return run_smc_done(rec, RSI_ERROR_INPUT);
	memcpy(&rec->gprs[1], rd->measurement[index], MEASUREMENT_BYTES);
	return run_smc_done(rec, RSI_SUCCESS);
}

/* Answer for a page that could not be opened; when the host must provide it the SMC is executed again afterwards. */
static enum step not_open(struct run *run, enum page_state state, uint64_t ipa, unsigned int level)
{
	return state == PAGE_REFUSED ? run_smc_done(run->rec, RSI_ERROR_INPUT) : run_leave_absent(run, ipa, level);
}

static enum step rsi_realm_config(struct run *run)
{
	uint64_t ipa = run->rec->gprs[1];
	struct rsi_realm_config *config;
	struct realm_page page;
	enum page_state state;

	if (!is_granule_aligned(ipa))
		return run_smc_done(run->rec, RSI_ERROR_INPUT);
	state = realm_page_open(run->rec, ipa, &page);
	if (state != PAGE_OPEN)
		return not_open(run, state, ipa, page.level);
	config = (struct rsi_realm_config *)(void *)page.bytes;
	memset(config, 0, sizeof(*config));
	config->ipa_width = page.realm.rd->s2sz;
	config->hash_algo = HASH_SHA_256;
	memcpy(config->rpv, page.realm.rd->rpv, sizeof(config->rpv));
	realm_page_close(&page);
	return run_smc_done(run->rec, RSI_SUCCESS);
}

static bool valid_range(const struct rec *rec)
{
	const struct rd *rd = arch_granule(granule_address(rec->realm));
	uint64_t base = rec->gprs[1], top = rec->gprs[2];

	return is_granule_aligned(base | top) && base < top && top <= realm_protected_end(rd);
}

static enum step rsi_ipa_state_set(struct run *run)
{
	struct rec *rec = run->rec;

	if (!valid_range(rec) || rec->gprs[3] > RIPAS_RAM || (rec->gprs[4] & ~RSI_CHANGE_DESTROYED) != 0)
		return run_smc_done(rec, RSI_ERROR_INPUT);
	rec->ripas.address = rec->gprs[1];
	rec->ripas.top = rec->gprs[2];
	rec->ripas.value = (enum ripas)rec->gprs[3];
	rec->ripas.change_destroyed = (rec->gprs[4] & RSI_CHANGE_DESTROYED) != 0;
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

static enum step rsi_ipa_state_get(struct run *run)
{
	struct rec *rec = run->rec;
	struct realm realm = { .granule = rec->realm };
	enum ripas ripas;
	uint64_t end;

	if (!valid_range(rec))
		return run_smc_done(rec, RSI_ERROR_INPUT);
	if (!granule_lock(realm.granule, GRANULE_RD))
		panic("rsi: a REC's realm is gone");
	realm.rd = arch_granule(granule_address(realm.granule));
	end = equal_until(&realm, rec->gprs[1], rec->gprs[2], &ripas);
	realm_unlock(&realm);
	rec->gprs[1] = end;
	rec->gprs[2] = (uint64_t)ripas;
	return run_smc_done(rec, RSI_SUCCESS);
}

static enum step rsi_host_call(struct run *run)
{
	struct rec *rec = run->rec;
	uint64_t ipa = rec->gprs[1];
	const struct rsi_host_call *call;
	struct realm_page page;
	enum page_state state;

	if (ipa % sizeof(*call) != 0)
		return run_smc_done(rec, RSI_ERROR_INPUT);
	state = realm_page_open(rec, ipa, &page);
	if (state != PAGE_OPEN)
		return not_open(run, state, ipa, page.level);
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
		(void)run_smc_done(rec, RSI_ERROR_INPUT);
		return STEP_RESUME;
	}
	if (state == PAGE_ABSENT) {
		/* The host took the page meanwhile: it must give one back before its answer can go anywhere. */
		rec->pending = PENDING_HOST_CALL;
		return run_leave_absent(run, rec->host_call_ipa, page.level);
	}
	call = (struct rsi_host_call *)(void *)(page.bytes + (rec->host_call_ipa & GRANULE_MASK));
	memcpy(call->gprs, run->enter->gprs, sizeof(call->gprs));
	realm_page_close(&page);
	return run_smc_done(rec, RSI_SUCCESS);
}

struct rsi_handler {
	enum step (*function)(struct run *run);
};

#define HANDLER(id, function) [(id) - RSI_VERSION] = { function }

static const struct rsi_handler handlers[] = {
	HANDLER(RSI_VERSION, rsi_version),
	HANDLER(RSI_FEATURES, rsi_features),
	HANDLER(RSI_MEASUREMENT_READ, rsi_measurement_read),
	HANDLER(RSI_REALM_CONFIG, rsi_realm_config),
	HANDLER(RSI_IPA_STATE_SET, rsi_ipa_state_set),
	HANDLER(RSI_IPA_STATE_GET, rsi_ipa_state_get),
	HANDLER(RSI_HOST_CALL, rsi_host_call),
};

enum step run_smc(struct run *run)
{
	/* As in rmi_handle(): bit 16 is a hint. The upper half of x0 is not part of the identifier (SMCCC 2.5). */
	uint64_t slot = (run->rec->gprs[0] & 0xfffeffffU) - RSI_VERSION;

	if (slot < ARRAY_SIZE(handlers) && handlers[slot].function != NULL)
		return handlers[slot].function(run);
	return run_psci(run);
}

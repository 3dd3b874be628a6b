/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include "arch.h"
#include "asm.h"
#include "esr.h"
#include "rsi.h"
#include "run_abort.h"
#include "run_sysreg.h"

/* Do what the last exit left to the host's answer. */
static enum step finish_pending(struct run *run)
{
	struct rec *rec = run->rec;
	enum rec_pending pending = rec->pending;

	rec->pending = PENDING_NONE;
	switch (pending) {
	case PENDING_MMIO:
	case PENDING_ABORT:
		if ((run->enter->flags & ENTER_INJECT_SEA) != 0)
			run_inject_external_abort(rec, false);
		else if ((run->enter->flags & ENTER_EMUL_MMIO) != 0)
			run_finish_mmio(run);
		return STEP_RESUME;
	case PENDING_SYSREG:
		if ((rec->esr & ESR_SYS_READ) != 0)
			rec_set_register(rec, ESR_SYS_RT(rec->esr), run->enter->gprs[0]);
		return STEP_RESUME;
	case PENDING_HOST_CALL:
		return run_finish_host_call(run);
	case PENDING_RIPAS:
		run_finish_ripas(run);
		return STEP_RESUME;
	case PENDING_PSCI:
	case PENDING_NONE:
		break;
	}
	return STEP_RESUME;
}

/* WFI or WFE, trapped because the host asked for it (A4.3.4). */
static enum step leave_wfx(struct run *run)
{
	struct rec *rec = run->rec;
	uint64_t timeout = rec_register(rec, ESR_SYS_RT(rec->esr));

	run->exit->reason = EXIT_SYNC;
	run->exit->esr = rec->esr & (ESR_EC_MASK | ESR_WFX_TI);
	if ((rec->esr & 2) != 0) /* WFIT, WFET */
		run->exit->gprs[0] = timeout;
	rec->pc += 4;
	return STEP_LEAVE;
}

static enum step handle_sync(struct run *run)
{
	struct rec *rec = run->rec;

	switch (ESR_EC(rec->esr)) {
	case EC_WFX:
		return leave_wfx(run);
	case EC_SMC64:
		return run_smc(run);
	case EC_SYSREG:
		return run_sysreg(run);
	case EC_INSTRUCTION_LOWER:
	case EC_DATA_LOWER:
		return run_abort(run);
	case EC_HVC64:
		/* Undefined (A4.5); unlike a trapped SMC's, its return address is behind it. */
		rec->pc -= 4;
		arch_rec_inject(rec, ESR_CLASS(EC_UNKNOWN) | ESR_IL, 0);
		return STEP_RESUME;
	default:
		/* Whatever the realm's ID registers do not offer. */
		arch_rec_inject(rec, ESR_CLASS(EC_UNKNOWN) | ESR_IL, 0);
		return STEP_RESUME;
	}
}

static enum step handle_trap(struct run *run, unsigned int trap)
{
	switch (trap) {
	case TRAP_IRQ:
		run->exit->reason = EXIT_IRQ;
		return STEP_LEAVE;
	case TRAP_FIQ:
		run->exit->reason = EXIT_FIQ;
		return STEP_LEAVE;
	case TRAP_SERROR:
		run->exit->reason = EXIT_SERROR;
		return STEP_LEAVE;
	default:
		return handle_sync(run);
	}
}

void run_until_exit(struct run *run)
{
	enum step step;

	arch_rec_load(run->rec);
	step = finish_pending(run);
	while (step == STEP_RESUME)
		step = handle_trap(run, arch_rec_run(run->rec));
	arch_rec_save(run->rec);
}

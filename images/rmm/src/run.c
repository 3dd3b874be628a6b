/* SPDX-License-Identifier: Apache-2.0 */
/* RMI_REC_ENTER (RMM 1.0, A4.2, A4.3, B4.3). */
#include "run.h"

#include "arch.h"
#include "asm.h"
#include "cpu.h"
#include "esr.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

/* A6.1: bits of ICH_HCR_EL2 that belong to the host: UIE, LRENPIE, NPIE, VGrp*IE, TDIR; and EOIcount to be told. */
#define GIC_HCR_HOST (MASK(7, 1) | BIT(14))
#define GIC_HCR_TOLD (GIC_HCR_HOST | MASK(31, 27))
#define GIC_LR_HW    BIT(61)

static bool valid_gic(const struct rec_enter *enter)
{
	unsigned int i, implemented = arch_gic_list_registers();

	if ((enter->gicv3_hcr & ~GIC_HCR_HOST) != 0)
		return false;
	for (i = 0; i < REC_LRS; i++)
		if ((enter->gicv3_lrs[i] & GIC_LR_HW) != 0 || (i >= implemented && enter->gicv3_lrs[i] != 0))
			return false;
	return true;
}

/* B4.3 REC_ENTER, failure conditions behind the input errors, in their order. */
static uint64_t admit(const struct rec *rec, const struct rec_enter *enter)
{
	const struct rd *rd = arch_granule(granule_address(rec->realm));
	enum realm_state state = realm_state(rd);

	if (state == REALM_NEW)
		return RMI_STATUS(RMI_ERROR_REALM, 0);
	if (state == REALM_SYSTEM_OFF)
		return RMI_STATUS(RMI_ERROR_REALM, 1);
	if (rec->running || !rec->runnable || rec->pending == PENDING_PSCI)
		return RMI_ERROR_REC;
	if ((enter->flags & (ENTER_EMUL_MMIO | ENTER_INJECT_SEA)) == ENTER_EMUL_MMIO && rec->pending != PENDING_MMIO)
		return RMI_ERROR_REC;
	return valid_gic(enter) ? RMI_SUCCESS : RMI_ERROR_REC;
}

/* CNT[PV]_CTL_EL0: ENABLE and ISTATUS without IMASK. */
static bool timer_output(uint64_t control)
{
	return (control & 7) == 5;
}

/* A6.2: a timer whose output was high at the last exit is known to the host; its interrupt would end every entry before
 * the realm had a chance to handle it. */
static void mask_timers(struct rec_timers *timers)
{
	timers->mask_p = timer_output(timers->cntp_ctl);
	timers->mask_v = timer_output(timers->cntv_ctl);
}

static void take_inputs(struct rec *rec, const struct rec_enter *enter)
{
	rec->trap_flags = enter->flags & (ENTER_TRAP_WFI | ENTER_TRAP_WFE);
	memcpy(rec->gic.lrs, enter->gicv3_lrs, sizeof(rec->gic.lrs));
	rec->gic.hcr = enter->gicv3_hcr;
	mask_timers(&rec->timers);
}

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

/* Fields that every exit has (A4.3.2). */
static void fill_common(struct run *run)
{
	const struct rec *rec = run->rec;
	struct rec_exit *exit = run->exit;

	memcpy(exit->gicv3_lrs, rec->gic.lrs, sizeof(exit->gicv3_lrs));
	exit->gicv3_hcr = rec->gic.hcr & GIC_HCR_TOLD;
	exit->gicv3_misr = rec->gic.misr;
	exit->gicv3_vmcr = rec->gic.vmcr;
	exit->cntp_ctl = rec->timers.cntp_ctl;
	exit->cntp_cval = rec->timers.cntp_cval;
	exit->cntv_ctl = rec->timers.cntv_ctl;
	exit->cntv_cval = rec->timers.cntv_cval;
}

static void run_rec(struct run *run)
{
	enum step step;

	take_inputs(run->rec, run->enter);
	arch_rec_load(run->rec);
	step = finish_pending(run);
	while (step == STEP_RESUME)
		step = handle_trap(run, arch_rec_run(run->rec));
	arch_rec_save(run->rec);
	fill_common(run);
}

uint64_t rmi_rec_enter(const uint64_t *in, uint64_t *out)
{
	struct run run = { .enter = (const struct rec_enter *)cpu_this()->in,
			   .exit = (struct rec_exit *)cpu_this()->out };
	struct granule *granule = granule_find(in[0]);
	uint64_t status;

	(void)out;
	if (granule == NULL || !is_granule_aligned(in[1]) ||
	    !arch_ns_read(cpu_this()->in, in[1], sizeof(struct rec_enter)) || !granule_lock(granule, GRANULE_REC))
		return RMI_ERROR_INPUT;
	run.rec = arch_granule(in[0]);
	status = admit(run.rec, run.enter);
	run.rec->running = status == RMI_SUCCESS || run.rec->running;
	granule_unlock(granule);
	if (status != RMI_SUCCESS)
		return status;

	memset(run.exit, 0, sizeof(*run.exit));
	run_rec(&run);
	if (!granule_lock(granule, GRANULE_REC))
		panic("run: a running REC changed its state");
	run.rec->running = false;
	granule_unlock(granule);
	/* The host may have given the page away meanwhile: its loss. */
	return arch_ns_write(in[1] + REC_RUN_EXIT, run.exit, sizeof(*run.exit)) ? RMI_SUCCESS : RMI_ERROR_INPUT;
}

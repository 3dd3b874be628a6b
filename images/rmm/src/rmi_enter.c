/* SPDX-License-Identifier: Apache-2.0 */
/* REC_ENTER (RMM 1.0, A4.2, A4.3, B4.3): who may, what the host gives and what it gets back. */
#include "arch.h"
#include "cpu.h"
#include "rec.h"
#include "rmi.h"
#include "rmi_commands.h"
#include "rmi_pages.h"
#include "run.h"

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
	rec->traps = ((enter->flags & ENTER_TRAP_WFI) != 0 ? REC_TRAP_WFI : 0) |
		     ((enter->flags & ENTER_TRAP_WFE) != 0 ? REC_TRAP_WFE : 0);
	memcpy(rec->gic.lrs, enter->gicv3_lrs, sizeof(rec->gic.lrs));
	rec->gic.hcr = enter->gicv3_hcr;
	mask_timers(&rec->timers);
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

uint64_t rmi_rec_enter(uint64_t rec, uint64_t page)
{
	struct run run = { .enter = (const struct rec_enter *)cpu_this()->in,
			   .exit = (struct rec_exit *)cpu_this()->out };
	struct granule *granule = granule_find(rec);
	uint64_t status;

	if (granule == NULL || !is_granule_aligned(page) ||
	    !arch_ns_read(cpu_this()->in, page, sizeof(struct rec_enter)) || !granule_lock(granule, GRANULE_REC))
		return RMI_ERROR_INPUT;
	run.rec = arch_granule(rec);
	status = admit(run.rec, run.enter);
	run.rec->running = status == RMI_SUCCESS || run.rec->running;
	granule_unlock(granule);
	if (status != RMI_SUCCESS)
		return status;

	memset(run.exit, 0, sizeof(*run.exit));
	take_inputs(run.rec, run.enter);
	run_until_exit(&run);
	fill_common(&run);
	if (!granule_lock(granule, GRANULE_REC))
		panic("run: a running REC changed its state");
	run.rec->running = false;
	granule_unlock(granule);
	/* The host may have given the page away meanwhile: its loss. */
	return arch_ns_write(page + REC_RUN_EXIT, run.exit, sizeof(*run.exit)) ? RMI_SUCCESS : RMI_ERROR_INPUT;
}

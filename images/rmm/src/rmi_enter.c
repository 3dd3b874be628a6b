/* SPDX-License-Identifier: Apache-2.0 */
/* REC_ENTER (RMM 1.0, A4.2, A4.3, B4.3): who may, what the host gives and what it gets back. */
#include "arch.h"
#include "cpu.h"
#include "rec.h"
#include "rmi.h"
#include "rmi_commands.h"
#include "rmi_pages.h"
#include "run.h"

void *memset(void *to, int value, size_t bytes);

/* A6.1: bits of ICH_HCR_EL2 that belong to the host: UIE, LRENPIE, NPIE, VGrp*IE, TDIR; and EOIcount to be told. */
#define GIC_HCR_HOST (MASK(7, 1) | BIT(14))
#define GIC_HCR_TOLD (GIC_HCR_HOST | MASK(31, 27))
#define GIC_LR_HW    BIT(61)

/* What of the enter half is copied, once, into the CPU's own page: always, and where the REC waits for it. */
static const struct part always_read[] = { PART(rec_enter, flags, flags),
					   PART(rec_enter, gicv3_hcr, gicv3_lrs[REC_LRS - 1]), PARTS_END };
static const struct part gprs_read[] = { PART(rec_enter, gprs, gprs[REC_GPRS - 1]), PARTS_END };

/* Are general registers of the host's the answer that the REC's last exit waits for? */
static bool wants_gprs(const struct rec *rec)
{
	return rec->pending == PENDING_MMIO || rec->pending == PENDING_SYSREG || rec->pending == PENDING_HOST_CALL;
}

static bool valid_gic(const struct rec_enter *enter)
{
	unsigned int i, implemented = arch_gic_list_registers();
	uint64_t any = 0, beyond = 0;

#pragma GCC unroll 16
	for (i = 0; i < REC_LRS; i++)
		any |= enter->gicv3_lrs[i];
	if (any != 0)
		for (i = implemented; i < REC_LRS; i++)
			beyond |= enter->gicv3_lrs[i];
	return (enter->gicv3_hcr & ~GIC_HCR_HOST) == 0 && (any & GIC_LR_HW) == 0 && beyond == 0;
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
	unsigned int i, implemented = arch_gic_list_registers();

	rec->traps = ((enter->flags & ENTER_TRAP_WFI) != 0 ? REC_TRAP_WFI : 0) |
		     ((enter->flags & ENTER_TRAP_WFE) != 0 ? REC_TRAP_WFE : 0);
	for (i = 0; i < implemented; i++)
		rec->gic.lrs[i] = enter->gicv3_lrs[i];
	rec->gic.hcr = enter->gicv3_hcr;
	mask_timers(&rec->timers);
}

/* Fields that every exit has (A4.3.2). List registers that are not implemented stay zero. */
static void fill_common(struct run *run)
{
	const struct rec *rec = run->rec;
	struct rec_exit *exit = run->exit;
	unsigned int i, implemented = arch_gic_list_registers();

	for (i = 0; i < implemented; i++)
		exit->gicv3_lrs[i] = rec->gic.lrs[i];
	exit->gicv3_hcr = rec->gic.hcr & GIC_HCR_TOLD;
	exit->gicv3_misr = rec->gic.misr;
	exit->gicv3_vmcr = rec->gic.vmcr;
	exit->cntp_ctl = rec->timers.cntp_ctl;
	exit->cntp_cval = rec->timers.cntp_cval;
	exit->cntv_ctl = rec->timers.cntv_ctl;
	exit->cntv_cval = rec->timers.cntv_cval;
}

/* ---- The exit half as the host gets it: zero but for some parts --------------------------------------------- */

static const struct part common_parts[] = { PART(rec_exit, reason, reason), PART(rec_exit, gicv3_hcr, gicv3_vmcr),
					    PART(rec_exit, cntp_ctl, cntv_cval), PARTS_END };

/* Those that an exit for a reason has besides (A4.3.4 to A4.3.9). */
static const struct part special_parts[][3] = {
	[EXIT_SYNC] = { PART(rec_exit, esr, hpfar), PART(rec_exit, gprs, gprs[0]), PARTS_END },
	[EXIT_IRQ] = { PARTS_END },
	[EXIT_FIQ] = { PARTS_END },
	[EXIT_PSCI] = { PART(rec_exit, gprs, gprs[3]), PARTS_END },
	[EXIT_RIPAS_CHANGE] = { PART(rec_exit, ripas_base, ripas_value), PARTS_END },
	[EXIT_HOST_CALL] = { PART(rec_exit, gprs, gprs[REC_GPRS - 1]), PART(rec_exit, imm, imm), PARTS_END },
	[EXIT_SERROR] = { PARTS_END },
};

/* False if the host has given the page away meanwhile: its loss. */
static bool tell(uint64_t page, struct rec_exit *exit)
{
	const struct part *part = special_parts[exit->reason];
	bool told = arch_ns_zero(page + REC_RUN_EXIT, sizeof(*exit)) &&
		    arch_ns_write_parts(page + REC_RUN_EXIT, exit, common_parts);

	if (part->bytes != 0)
		told = told && arch_ns_write_parts(page + REC_RUN_EXIT, exit, part);
	/* Not for the next exit, which may be another realm's. */
	for (; part->bytes != 0; part++)
		memset((uint8_t *)exit + part->offset, 0, part->bytes);
	return told;
}

uint64_t rmi_rec_enter(uint64_t rec, uint64_t page)
{
	struct run run = { .enter = (const struct rec_enter *)cpu_this()->in,
			   .exit = (struct rec_exit *)cpu_this()->exit };
	struct granule *granule = granule_find(rec);
	uint64_t status;

	if (granule == NULL || !is_granule_aligned(page) || !arch_ns_read_parts(cpu_this()->in, page, always_read) ||
	    !granule_lock(granule, GRANULE_REC))
		return RMI_ERROR_INPUT;
	run.rec = arch_granule(rec);
	status = admit(run.rec, run.enter);
	if (status == RMI_SUCCESS && wants_gprs(run.rec) && !arch_ns_read_parts(cpu_this()->in, page, gprs_read))
		status = RMI_ERROR_INPUT;
	run.rec->running = status == RMI_SUCCESS || run.rec->running;
	granule_unlock(granule);
	if (status != RMI_SUCCESS)
		return status;

	take_inputs(run.rec, run.enter);
	run_until_exit(&run);
	fill_common(&run);
	if (!granule_lock(granule, GRANULE_REC))
		panic("run: a running REC changed its state");
	run.rec->running = false;
	granule_unlock(granule);
	return tell(page, run.exit) ? RMI_SUCCESS : RMI_ERROR_INPUT;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch.h for R-EL2: the world switch. EL3 switches EL2 registers and x0..x30 between worlds; everything below EL2 is
 * ours to keep apart (RMM 1.0, A4; rows "not touched by EL3" of TF-A's context management).
 */
#include "asm.h"
#include "arch.h"
#include "rec.h"
#include "target.h"

_Static_assert(offsetof(struct rec, gprs) == 0, "rec_run.S");

unsigned int rec_run(struct rec *rec);
void fp_save(uint64_t *state);
void fp_load(const uint64_t *state);

/* EL1 and EL0 state of a REC that the normal world uses too; two by two, as memory takes and gives them. */
#define SYSREGS(X)                                                                                               \
	X(sp_el0, sp_el1) X(elr_el1, spsr_el1) X(sctlr_el1, cpacr_el1) X(ttbr0_el1, ttbr1_el1)                   \
	X(tcr_el1, mair_el1) X(amair_el1, vbar_el1) X(esr_el1, afsr0_el1) X(afsr1_el1, far_el1)                  \
	X(contextidr_el1, tpidr_el1) X(tpidr_el0, tpidrro_el0) X(par_el1, csselr_el1) X(cntkctl_el1, mdscr_el1)

/* Keys of pointer authentication, where the CPU has it. EL3 exchanges them between worlds, as the RMM does between RECs. */
#define KEYS(X)                                                                                                  \
	X(apiakeylo_el1, apiakeyhi_el1) X(apibkeylo_el1, apibkeyhi_el1) X(apdakeylo_el1, apdakeyhi_el1)          \
	X(apdbkeylo_el1, apdbkeyhi_el1) X(apgakeylo_el1, apgakeyhi_el1)

#define SYSREG_INDEX(first, second) SYSREG_##first, SYSREG_##second,
enum sysreg_index { SYSREGS(SYSREG_INDEX) KEYS(SYSREG_INDEX) SYSREG_COUNT };
_Static_assert(SYSREG_COUNT <= REC_SYSREGS, "struct rec");

/* The compiler would not load two at once with a write in between, nor store two at once far into a structure. */
#define SYSREG_SAVE(first, second)                                                                               \
	__asm__ volatile("mrs x16, " #first "\n\t"                                                               \
			 "mrs x17, " #second "\n\t"                                                              \
			 "stp x16, x17, [%1, %2]"                                                                \
			 : "+m"(*(uint64_t(*)[REC_SYSREGS])values)                                               \
			 : "r"(values), "i"(8 * SYSREG_##first)                                                  \
			 : "x16", "x17");
#define SYSREG_LOAD(first, second)                                                                               \
	__asm__ volatile("ldp x16, x17, [%0, %1]\n\t"                                                            \
			 "msr " #first ", x16\n\t"                                                               \
			 "msr " #second ", x17" ::"r"(values), "i"(8 * SYSREG_##first),                          \
			 "m"(*(const uint64_t(*)[REC_SYSREGS])values)                                            \
			 : "x16", "x17");

/* What the normal world had on this CPU. */
struct ns_state {
	uint64_t sys[REC_SYSREGS];
	struct rec_timers timers;
	uint64_t fp[66] __attribute__((aligned(16)));
	bool fp_is_realms;
};
static struct ns_state ns_states[MAX_CPUS];

/* HCR_EL2: VM SWIO PTW FMO IMO AMO FB BSU=IS TID3 TSC TIDCP TACR TSW RW TLOR TERR TEA APK API FWB GPF; TID4, which is RES0
 * on a CPU without FEAT_EVT: there a realm sees the real caches. */
#define HCR_REALM UINT64_C(0x34338807c063f)
/* Between two stays: EL1 is AArch64 (RW), no stage 2. */
#define HCR_IDLE  BIT(31)
#define HCR_TWI   BIT(13)
#define HCR_TWE   BIT(14)

/* CPTR_EL2 with E2H = 0: RES1 with TZ and TSM (no SVE, no SME), TTA, TAM; TFP while the registers are the host's. */
#define CPTR_REALM (UINT64_C(0x33ff) | BIT(20) | BIT(30))
#define CPTR_TFP   BIT(10)

/* MDCR_EL2: TPMCR TPM TDA TDOSA TDRA TPMS TTRF TDCC. */
#define MDCR_TRAPS (BIT(5) | BIT(6) | BIT(9) | BIT(10) | BIT(11) | BIT(14) | BIT(19) | BIT(27))

#define CNTHCTL_REALM    (BIT(0) | BIT(1))   /* no traps of counter and physical timer */
#define CNTHCTL_CNTVMASK BIT(18)
#define CNTHCTL_CNTPMASK BIT(19)

#define EC_SHIFT    26
#define EC_FP       0x07U
#define ICH_HCR_EN  BIT(0)

/* Who used FP in one stay mostly does in the next, too, and its trap costs as much as the registers. So they are loaded
 * ahead in that many entries, until another trap tells whether it still does. */
#define FP_AHEAD 15

/* SCTLR_EL1 at reset: RES1 bits of a CPU whose features make them so (LSMAOE, nTLSMD, SPAN, EIS, EOS, TSCXT). */
#define SCTLR_EL1_RESET UINT64_C(0x30d00800)

/* The same on all CPUs. */
static bool has_keys;

/* ID_AA64ISAR1_EL1: APA, API, GPA, GPI; ID_AA64ISAR2_EL1: GPA3, APA3. */
static bool find_keys(void)
{
	return (arch_id_register(6, 1) & UINT64_C(0xff000ff0)) != 0 || (arch_id_register(6, 2) & 0xff00) != 0;
}

void cpu_init_traps(void)
{
	has_keys = find_keys();
	WRITE_SYSREG(cptr_el2, CPTR_REALM);
	WRITE_SYSREG(mdcr_el2, READ_SYSREG(mdcr_el2) | MDCR_TRAPS);
	WRITE_SYSREG(vpidr_el2, READ_SYSREG(midr_el1));
	WRITE_SYSREG(cntvoff_el2, 0);
}

void arch_rec_reset(struct rec *rec)
{
	rec->sys[SYSREG_sctlr_el1] = SCTLR_EL1_RESET;
}

/* ---- GIC ------------------------------------------------------------------------------------------------ */

static void load_lrs(const uint64_t *lrs, unsigned int count)
{
	/* A switch that falls through: the register's number is part of the instruction. */
	switch (count) {
	default: WRITE_SYSREG(ich_lr15_el2, lrs[15]); __attribute__((fallthrough));
	case 15: WRITE_SYSREG(ich_lr14_el2, lrs[14]); __attribute__((fallthrough));
	case 14: WRITE_SYSREG(ich_lr13_el2, lrs[13]); __attribute__((fallthrough));
	case 13: WRITE_SYSREG(ich_lr12_el2, lrs[12]); __attribute__((fallthrough));
	case 12: WRITE_SYSREG(ich_lr11_el2, lrs[11]); __attribute__((fallthrough));
	case 11: WRITE_SYSREG(ich_lr10_el2, lrs[10]); __attribute__((fallthrough));
	case 10: WRITE_SYSREG(ich_lr9_el2, lrs[9]); __attribute__((fallthrough));
	case 9: WRITE_SYSREG(ich_lr8_el2, lrs[8]); __attribute__((fallthrough));
	case 8: WRITE_SYSREG(ich_lr7_el2, lrs[7]); __attribute__((fallthrough));
	case 7: WRITE_SYSREG(ich_lr6_el2, lrs[6]); __attribute__((fallthrough));
	case 6: WRITE_SYSREG(ich_lr5_el2, lrs[5]); __attribute__((fallthrough));
	case 5: WRITE_SYSREG(ich_lr4_el2, lrs[4]); __attribute__((fallthrough));
	case 4: WRITE_SYSREG(ich_lr3_el2, lrs[3]); __attribute__((fallthrough));
	case 3: WRITE_SYSREG(ich_lr2_el2, lrs[2]); __attribute__((fallthrough));
	case 2: WRITE_SYSREG(ich_lr1_el2, lrs[1]); __attribute__((fallthrough));
	case 1: WRITE_SYSREG(ich_lr0_el2, lrs[0]);
	}
}

static void save_lrs(uint64_t *lrs, unsigned int count)
{
	switch (count) {
	default: lrs[15] = READ_SYSREG(ich_lr15_el2); __attribute__((fallthrough));
	case 15: lrs[14] = READ_SYSREG(ich_lr14_el2); __attribute__((fallthrough));
	case 14: lrs[13] = READ_SYSREG(ich_lr13_el2); __attribute__((fallthrough));
	case 13: lrs[12] = READ_SYSREG(ich_lr12_el2); __attribute__((fallthrough));
	case 12: lrs[11] = READ_SYSREG(ich_lr11_el2); __attribute__((fallthrough));
	case 11: lrs[10] = READ_SYSREG(ich_lr10_el2); __attribute__((fallthrough));
	case 10: lrs[9] = READ_SYSREG(ich_lr9_el2); __attribute__((fallthrough));
	case 9: lrs[8] = READ_SYSREG(ich_lr8_el2); __attribute__((fallthrough));
	case 8: lrs[7] = READ_SYSREG(ich_lr7_el2); __attribute__((fallthrough));
	case 7: lrs[6] = READ_SYSREG(ich_lr6_el2); __attribute__((fallthrough));
	case 6: lrs[5] = READ_SYSREG(ich_lr5_el2); __attribute__((fallthrough));
	case 5: lrs[4] = READ_SYSREG(ich_lr4_el2); __attribute__((fallthrough));
	case 4: lrs[3] = READ_SYSREG(ich_lr3_el2); __attribute__((fallthrough));
	case 3: lrs[2] = READ_SYSREG(ich_lr2_el2); __attribute__((fallthrough));
	case 2: lrs[1] = READ_SYSREG(ich_lr1_el2); __attribute__((fallthrough));
	case 1: lrs[0] = READ_SYSREG(ich_lr0_el2);
	}
}

/* ICH_VTR_EL2.PREbits: 5 bits of preemption need one active-priorities register, 6 two, 7 four. */
static void load_active_priorities(const struct rec_gic *gic)
{
	unsigned int bits = (unsigned int)(READ_SYSREG(ich_vtr_el2) >> 26 & 7) + 1;

	WRITE_SYSREG(ich_ap0r0_el2, gic->ap0r[0]);
	WRITE_SYSREG(ich_ap1r0_el2, gic->ap1r[0]);
	if (bits > 5)
		panic("gic: more active-priorities registers than this RMM keeps");
}

static void load_gic(const struct rec_gic *gic)
{
	load_lrs(gic->lrs, arch_gic_list_registers());
	load_active_priorities(gic);
	WRITE_SYSREG(ich_vmcr_el2, gic->vmcr);
	WRITE_SYSREG(ich_hcr_el2, gic->hcr | ICH_HCR_EN);
}

static void save_gic(struct rec_gic *gic)
{
	static const uint64_t empty[REC_LRS];
	unsigned int count = arch_gic_list_registers();

	save_lrs(gic->lrs, count);
	gic->misr = READ_SYSREG(ich_misr_el2);
	gic->vmcr = READ_SYSREG(ich_vmcr_el2);
	gic->hcr = READ_SYSREG(ich_hcr_el2);
	gic->ap0r[0] = READ_SYSREG(ich_ap0r0_el2);
	gic->ap1r[0] = READ_SYSREG(ich_ap1r0_el2);
	WRITE_SYSREG(ich_hcr_el2, 0);
	/* The host's own guests must not find a realm's interrupts here. */
	load_lrs(empty, count);
	WRITE_SYSREG(ich_ap0r0_el2, 0);
	WRITE_SYSREG(ich_ap1r0_el2, 0);
}

/* ---- Timers (A6.2) --------------------------------------------------------------------------------------- */

static void read_timers(struct rec_timers *timers)
{
	timers->cntp_ctl = READ_SYSREG(cntp_ctl_el0);
	timers->cntp_cval = READ_SYSREG(cntp_cval_el0);
	timers->cntv_ctl = READ_SYSREG(cntv_ctl_el0);
	timers->cntv_cval = READ_SYSREG(cntv_cval_el0);
}

static void write_timers(const struct rec_timers *timers)
{
	WRITE_SYSREG(cntp_cval_el0, timers->cntp_cval);
	WRITE_SYSREG(cntp_ctl_el0, timers->cntp_ctl);
	WRITE_SYSREG(cntv_cval_el0, timers->cntv_cval);
	WRITE_SYSREG(cntv_ctl_el0, timers->cntv_ctl);
}

/* One write for each bit: QEMU re-evaluates only one timer's line a write. */
static void mask_timers(const struct rec_timers *timers)
{
	uint64_t control = CNTHCTL_REALM;

	if (timers->mask_v)
		control |= CNTHCTL_CNTVMASK;
	WRITE_SYSREG(cnthctl_el2, control);
	if (timers->mask_p)
		control |= CNTHCTL_CNTPMASK;
	WRITE_SYSREG(cnthctl_el2, control);
}

/* ---- Switch ---------------------------------------------------------------------------------------------- */

static void save_sysregs(uint64_t *values)
{
	SYSREGS(SYSREG_SAVE)
}

static void load_sysregs(const uint64_t *values)
{
	SYSREGS(SYSREG_LOAD)
}

static void save_keys(uint64_t *values)
{
	KEYS(SYSREG_SAVE)
}

static void load_keys(const uint64_t *values)
{
	KEYS(SYSREG_LOAD)
}

/* MPIDR_EL1: RES1 bit 31, Aff3 in 39:32. */
static uint64_t hardware_mpidr(uint64_t mpidr)
{
	return BIT(31) | (mpidr & 0xffff0f) | (mpidr >> 24 & 0xff) << 32;
}

static void swap_fp(struct rec *rec, struct ns_state *ns)
{
	fp_save(ns->fp);
	fp_load(rec->fp);
	ns->fp_is_realms = true;
}

void arch_rec_load(struct rec *rec)
{
	struct ns_state *ns = &ns_states[arch_cpu()];
	const struct rd *rd = arch_granule(granule_address(rec->realm));
	uint64_t hcr = HCR_REALM;

	save_sysregs(ns->sys);
	read_timers(&ns->timers);
	ns->fp_is_realms = false;
	if (rec->fp_ahead != 0) {
		rec->fp_ahead--;
		swap_fp(rec, ns);
	}
	if ((rec->traps & REC_TRAP_WFI) != 0)
		hcr |= HCR_TWI;
	if ((rec->traps & REC_TRAP_WFE) != 0)
		hcr |= HCR_TWE;
	WRITE_SYSREG(hcr_el2, hcr);
	WRITE_SYSREG(vtcr_el2, rd->vtcr);
	WRITE_SYSREG(vttbr_el2, rd->vttbr);
	WRITE_SYSREG(vmpidr_el2, hardware_mpidr(rec->mpidr));
	load_sysregs(rec->sys);
	if (__builtin_expect(has_keys, true))
		load_keys(rec->sys);
	mask_timers(&rec->timers);
	write_timers(&rec->timers);
	load_gic(&rec->gic);
	ISB();
}

void arch_rec_save(struct rec *rec)
{
	struct ns_state *ns = &ns_states[arch_cpu()];

	save_gic(&rec->gic);
	read_timers(&rec->timers);
	write_timers(&ns->timers);
	WRITE_SYSREG(cnthctl_el2, CNTHCTL_REALM);
	save_sysregs(rec->sys);
	if (__builtin_expect(has_keys, true))
		save_keys(rec->sys);
	load_sysregs(ns->sys);
	if (ns->fp_is_realms) {
		fp_save(rec->fp);
		fp_load(ns->fp);
	}
	/* A realm's stage 2 is no matter of what comes next; where EL3 finds both worlds' bits alike, it changes less. */
	WRITE_SYSREG(hcr_el2, HCR_IDLE);
	ISB();
}

void arch_rec_stage1(struct stage1 *stage1)
{
	stage1->sctlr = READ_SYSREG(sctlr_el1);
	stage1->tcr = READ_SYSREG(tcr_el1);
	stage1->ttbr0 = READ_SYSREG(ttbr0_el1);
	stage1->ttbr1 = READ_SYSREG(ttbr1_el1);
}

unsigned int arch_rec_run(struct rec *rec)
{
	struct ns_state *ns = &ns_states[arch_cpu()];
	unsigned int trap;

	do {
		WRITE_SYSREG(elr_el2, rec->pc);
		WRITE_SYSREG(spsr_el2, rec->pstate);
		WRITE_SYSREG(cptr_el2, ns->fp_is_realms ? CPTR_REALM : CPTR_REALM | CPTR_TFP);
		trap = rec_run(rec);
		WRITE_SYSREG(cptr_el2, CPTR_REALM);
		ISB();
		rec->pc = READ_SYSREG(elr_el2);
		rec->pstate = READ_SYSREG(spsr_el2);
		if (trap != TRAP_SYNC)
			return trap;
		rec->esr = READ_SYSREG(esr_el2);
		if (rec->esr >> EC_SHIFT == EC_FP && !ns->fp_is_realms) {
			/* First FP instruction since the entry: only now is it worth moving 1 KiB. */
			swap_fp(rec, ns);
			rec->fp_ahead = FP_AHEAD;
			continue;
		}
		rec->far = READ_SYSREG(far_el2);
		rec->hpfar = READ_SYSREG(hpfar_el2);
		return trap;
	} while (true);
}

/* ---- Exceptions for the realm (Arm ARM D1.3) ------------------------------------------------------------- */

#define PSTATE_MODE   UINT64_C(0x1f)
#define PSTATE_AARCH32 BIT(4)
#define PSTATE_EL1H   UINT64_C(5)
#define PSTATE_EL1T   UINT64_C(4)
#define PSTATE_DAIF   MASK(9, 6)
#define PSTATE_PAN    BIT(22)
#define PSTATE_DIT    BIT(24)
#define PSTATE_TCO    BIT(25)
#define PSTATE_SSBS   BIT(12)
#define PSTATE_NZCV   MASK(31, 28)
#define SCTLR_SPAN    BIT(23)
#define SCTLR_DSSBS   BIT(44)

static uint64_t pstate_at_exception(uint64_t pstate, uint64_t sctlr)
{
	uint64_t next = PSTATE_EL1H | PSTATE_DAIF | (pstate & (PSTATE_NZCV | PSTATE_DIT | PSTATE_PAN)) | PSTATE_TCO;

	if ((sctlr & SCTLR_SPAN) == 0)
		next |= PSTATE_PAN;
	if ((sctlr & SCTLR_DSSBS) != 0)
		next |= PSTATE_SSBS;
	return next;
}

void arch_rec_inject(struct rec *rec, uint64_t esr, uint64_t far)
{
	uint64_t mode = rec->pstate & PSTATE_MODE, offset = 0x400;

	if ((mode & PSTATE_AARCH32) != 0)
		offset = 0x600;
	else if (mode == PSTATE_EL1H)
		offset = 0x200;
	else if (mode == PSTATE_EL1T)
		offset = 0;
	WRITE_SYSREG(elr_el1, rec->pc);
	WRITE_SYSREG(spsr_el1, rec->pstate);
	WRITE_SYSREG(esr_el1, esr);
	WRITE_SYSREG(far_el1, far);
	rec->pstate = pstate_at_exception(rec->pstate, READ_SYSREG(sctlr_el1));
	rec->pc = READ_SYSREG(vbar_el1) + offset;
}

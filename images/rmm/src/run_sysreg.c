/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System registers that trap. ID registers show what a realm may use: allow-lists, so that a feature that this RMM does
 * not know of stays hidden (A3.1).
 */
#include "arch.h"
#include "esr.h"
#include "run.h"

#define ICC_DIR_EL1    SYS(3, 0, 12, 11, 1)
#define ICC_SGI1R_EL1  SYS(3, 0, 12, 11, 5)
#define ICC_ASGI1R_EL1 SYS(3, 0, 12, 11, 6)
#define ICC_SGI0R_EL1  SYS(3, 0, 12, 11, 7)
#define ACTLR_EL1      SYS(3, 0, 1, 0, 1)

#define FIELD(low) MASK((low) + 3, (low))

/* ID_AA64PFR0_EL1: AArch64 only at EL1 and EL0; FP, AdvSIMD, GIC, DIT, CSV2, CSV3. CSV2 is at most 1: 2 would offer
 * SCXTNUM_ELx, which nobody switches. */
static uint64_t pfr0(uint64_t value)
{
	uint64_t csv2 = value & FIELD(56);

	value &= FIELD(16) | FIELD(20) | FIELD(24) | FIELD(48) | FIELD(60);
	return value | 0x11 | (csv2 != 0 ? BIT(56) : 0);
}

/* ID_AA64DFR0_EL1: debug version and double lock as they are, break- and watchpoints as the realm was made with. */
static uint64_t dfr0(uint64_t value)
{
	return (value & (FIELD(0) | FIELD(36))) | FEATURE_BPS << 12 | FEATURE_WPS << 20;
}

static uint64_t id_value(unsigned int crm, unsigned int op2)
{
	uint64_t value = arch_id_register(crm, op2);

	switch (crm << 4 | op2) {
	case 0x40:
		return pfr0(value);
	case 0x41: /* PFR1: BT, SSBS */
		return value & (FIELD(0) | FIELD(4));
	case 0x50:
		return dfr0(value);
	case 0x60: /* ISAR0: all but TME */
		return value & ~FIELD(24);
	case 0x61: /* ISAR1: all but LS64 */
		return value & ~FIELD(60);
	case 0x62: /* ISAR2: the lower half but MOPS, whose instructions HCRX_EL2 keeps undefined */
		return value & MASK(31, 0) & ~FIELD(16);
	case 0x70: /* MMFR0: all but FGT */
		return value & ~FIELD(56);
	case 0x71: /* MMFR1: HAFDBS, VMIDBits, HPDS, PAN, XNX, ETS, AFP, nTLBPA, TIDCP1, CMOW */
		return value & ~(FIELD(8) | FIELD(16) | FIELD(24) | FIELD(32) | FIELD(40));
	case 0x72: /* MMFR2: all but NV, FWB, EVT */
		return value & ~(FIELD(24) | FIELD(40) | FIELD(56));
	default: /* not allocated, or nothing in it is for a realm; AArch32's read as zero */
		return 0;
	}
}

static enum step undefined(struct run *run)
{
	arch_rec_inject(run->rec, ESR_CLASS(EC_UNKNOWN) | ESR_IL, 0);
	return STEP_RESUME;
}

/* Reads as `value`, ignores writes. */
static enum step read_as(struct run *run, uint64_t value)
{
	if ((run->rec->esr & ESR_SYS_READ) != 0)
		rec_set_register(run->rec, ESR_SYS_RT(run->rec->esr), value);
	run->rec->pc += 4;
	return STEP_RESUME;
}

/* Software-generated interrupts and deactivation are the host's to emulate: it has the realm's GIC. */
static enum step leave_to_host(struct run *run)
{
	struct rec *rec = run->rec;

	run->exit->reason = EXIT_SYNC;
	run->exit->esr = rec->esr & (ESR_EC_MASK | ESR_SYS_REGISTER | ESR_SYS_READ);
	if ((rec->esr & ESR_SYS_READ) == 0)
		run->exit->gprs[0] = rec_register(rec, ESR_SYS_RT(rec->esr));
	rec->pending = PENDING_SYSREG;
	rec->pc += 4;
	return STEP_LEAVE;
}

enum step run_sysreg(struct run *run)
{
	uint64_t esr = run->rec->esr, reg = esr & ESR_SYS_REGISTER;
	unsigned int crm = (unsigned int)(esr >> 1 & 15), op2 = (unsigned int)(esr >> 17 & 7);

	switch (reg) {
	case ICC_DIR_EL1:
	case ICC_SGI1R_EL1:
	case ICC_ASGI1R_EL1:
	case ICC_SGI0R_EL1:
		return leave_to_host(run);
	case ACTLR_EL1:
		return read_as(run, 0);
	default:
		break;
	}
	/* HCR_EL2.TID3's group. */
	if ((reg & SYS(3, 7, 15, 0, 0)) == SYS(3, 0, 0, 0, 0) && crm >= 1 && crm <= 7 && (esr & ESR_SYS_READ) != 0)
		return read_as(run, id_value(crm, op2));
	/* Self-hosted debug (op0 2, op1 0): present in the ID registers, inert. */
	if ((reg & SYS(3, 7, 0, 0, 0)) == SYS(2, 0, 0, 0, 0))
		return read_as(run, 0);
	/* Cache maintenance by set and way (op0 1, CRn 7) means nothing in a virtual machine. */
	if ((reg & SYS(3, 7, 15, 0, 0)) == SYS(1, 0, 7, 0, 0))
		return read_as(run, 0);
	return undefined(run);
}

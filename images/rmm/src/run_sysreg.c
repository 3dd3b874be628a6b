/* SPDX-License-Identifier: Apache-2.0 */
#include "run_sysreg.h"

#include "arch.h"
#include "esr.h"
#include "realm_id.h"

#define ICC_DIR_EL1    SYS(3, 0, 12, 11, 1)
#define ICC_SGI1R_EL1  SYS(3, 0, 12, 11, 5)
#define ICC_ASGI1R_EL1 SYS(3, 0, 12, 11, 6)
#define ICC_SGI0R_EL1  SYS(3, 0, 12, 11, 7)
#define ACTLR_EL1      SYS(3, 0, 1, 0, 1)
#define CCSIDR_EL1     SYS(3, 1, 0, 0, 0)
#define CLIDR_EL1      SYS(3, 1, 0, 0, 1)
#define CSSELR_EL1     SYS(3, 2, 0, 0, 0)
#define CSSELR_BITS    MASK(3, 0)

static uint64_t id_value(const struct rec *rec, unsigned int crm, unsigned int op2)
{
	const struct rd *rd = arch_granule(granule_address(rec->realm));

	return realm_id_value(crm, op2, arch_id_register(crm, op2), rd->num_bps, rd->num_wps);
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

static enum step select_cache(struct run *run)
{
	struct rec *rec = run->rec;

	if ((rec->esr & ESR_SYS_READ) == 0)
		rec->csselr = rec_register(rec, ESR_SYS_RT(rec->esr)) & CSSELR_BITS;
	return read_as(run, rec->csselr);
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
	case CLIDR_EL1:
		return read_as(run, realm_id_clidr(arch_cache_type()));
	case CCSIDR_EL1:
		return read_as(run, realm_id_ccsidr(arch_cache_type(), run->rec->csselr));
	case CSSELR_EL1:
		return select_cache(run);
	default:
		break;
	}
	/* HCR_EL2.TID3's group. */
	if ((reg & SYS(3, 7, 15, 0, 0)) == SYS(3, 0, 0, 0, 0) && crm >= 1 && crm <= 7 && (esr & ESR_SYS_READ) != 0)
		return read_as(run, id_value(run->rec, crm, op2));
	/* Self-hosted debug (op0 2, op1 0): present in the ID registers, inert. */
	if ((reg & SYS(3, 7, 0, 0, 0)) == SYS(2, 0, 0, 0, 0))
		return read_as(run, 0);
	/* Cache maintenance by set and way (op0 1, CRn 7) means nothing in a virtual machine. */
	if ((reg & SYS(3, 7, 15, 0, 0)) == SYS(1, 0, 7, 0, 0))
		return read_as(run, 0);
	return undefined(run);
}

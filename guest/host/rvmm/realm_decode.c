/* SPDX-License-Identifier: Apache-2.0 */
#include "realm_decode.h"

#include "layout.h"

/* ESR_EL2 (Arm ARM). */
#define ESR_EC(esr)  ((unsigned int)((esr) >> 26 & 0x3f))
#define EC_WFX       0x01U
#define EC_SYSREG    0x18U
#define EC_INSTRUCTION 0x20U
#define EC_DATA      0x24U
#define ESR_EVENT    UINT64_C(1) /* WFx: TI */
#define ESR_TIMED    UINT64_C(2)
#define ESR_ISV      (UINT64_C(1) << 24)
#define ESR_SAS(esr) ((unsigned int)((esr) >> 22 & 3))
#define ESR_WNR      (UINT64_C(1) << 6)
#define ESR_READ     UINT64_C(1)
/* Op0, Op2, Op1, CRn, CRm of a trapped MSR. */
#define ESR_SYSREG   (UINT64_C(0x3ff) << 12 | UINT64_C(3) << 10 | UINT64_C(15) << 1)
#define SYSREG(op0, op1, crn, crm, op2)                                                                \
	((uint64_t)(op0) << 20 | (uint64_t)(op2) << 17 | (uint64_t)(op1) << 14 | (uint64_t)(crn) << 10 | \
	 (uint64_t)(crm) << 1)
#define ICC_DIR_EL1   SYSREG(3, 0, 12, 11, 1)
#define ICC_SGI1R_EL1 SYSREG(3, 0, 12, 11, 5)

#define HPFAR_FIPA    (((UINT64_C(1) << 44) - 1) << 4)
#define FAR_OFFSET    UINT64_C(0xfff)

/* The RMM gives the time-out of WFIT and WFET in the first register. */
static struct sync decode_wfx(const struct rmi_rec_exit *exit)
{
	struct sync sync = { .kind = (exit->esr & ESR_EVENT) != 0 ? SYNC_WFE : SYNC_WFX };

	sync.timed = (exit->esr & ESR_TIMED) != 0;
	sync.value = sync.timed ? exit->gprs[0] : 0;
	return sync;
}

static struct sync decode_sysreg(const struct rmi_rec_exit *exit)
{
	struct sync sync = { .kind = SYNC_SYSREG, .value = exit->gprs[0] };

	if ((exit->esr & ESR_READ) != 0)
		return sync;
	if ((exit->esr & ESR_SYSREG) == ICC_SGI1R_EL1)
		sync.kind = SYNC_SGI;
	else if ((exit->esr & ESR_SYSREG) == ICC_DIR_EL1)
		sync.kind = SYNC_DIR;
	return sync;
}

static struct sync decode_unprotected(const struct rmi_rec_exit *exit, uint64_t ipa, uint64_t ram_bytes)
{
	struct sync sync = { .kind = SYNC_NOTHING, .ipa = ipa & ~IPA_UNPROTECTED };

	if (within(sync.ipa, PAGE_BYTES, RAM_BASE, ram_bytes)) {
		sync.kind = SYNC_SHARED;
	} else if ((exit->esr & ESR_ISV) != 0) {
		sync.kind = SYNC_MMIO;
		sync.ipa |= exit->far & FAR_OFFSET;
		sync.bytes = 1U << ESR_SAS(exit->esr);
		sync.write = (exit->esr & ESR_WNR) != 0;
		sync.value = exit->gprs[0];
	}
	return sync;
}

static struct sync decode_abort(const struct rmi_rec_exit *exit, uint64_t ram_bytes)
{
	struct sync sync = { .kind = SYNC_BAD, .ipa = (exit->hpfar & HPFAR_FIPA) << 8 };

	if (sync.ipa >= 2 * IPA_UNPROTECTED)
		return sync;
	if (sync.ipa >= IPA_UNPROTECTED)
		return decode_unprotected(exit, sync.ipa, ram_bytes);
	if (within(sync.ipa, PAGE_BYTES, RAM_BASE, ram_bytes))
		sync.kind = SYNC_PROTECTED;
	return sync;
}

struct sync realm_decode_sync(const struct rmi_rec_exit *exit, uint64_t ram_bytes)
{
	switch (ESR_EC(exit->esr)) {
	case EC_WFX:
		return decode_wfx(exit);
	case EC_SYSREG:
		return decode_sysreg(exit);
	case EC_INSTRUCTION:
	case EC_DATA:
		return decode_abort(exit, ram_bytes);
	default:
		return (struct sync){ .kind = SYNC_BAD };
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Realm execution context (RMM 1.0, A2.3): one virtual CPU. */
#ifndef RMM_REC_H
#define RMM_REC_H

#include "arch.h"
#include "granule.h"
#include "realm.h"
#include "rtt.h"
#include "token.h"
#include "types.h"

#define REC_SYSREGS 34U

/* What the next REC_ENTER must finish before the realm goes on. */
enum rec_pending {
	PENDING_NONE,
	PENDING_MMIO,                 /* emulatable data abort at an Unprotected IPA: esr and far tell which */
	PENDING_ABORT,                /* other data abort at an Unprotected IPA */
	PENDING_SYSREG,               /* system register access that the host emulates */
	PENDING_HOST_CALL,
	PENDING_RIPAS,
	PENDING_PSCI,                 /* until PSCI_COMPLETE */
};

struct rec_timers {
	uint64_t cntp_ctl, cntp_cval, cntv_ctl, cntv_cval;
	bool mask_p, mask_v;          /* do not let the timer break into the realm during the next run */
};

struct rec_gic {
	uint64_t lrs[REC_LRS];
	uint64_t hcr, vmcr, misr, ap0r[4], ap1r[4];
};

/* Content of a REC granule. While `running` is set only the CPU that set it touches the rest; otherwise the granule's lock
 * covers it. */
struct rec {
	/* Assembly knows these (rec_run.S). */
	uint64_t gprs[REC_GPRS];
	uint64_t pc, pstate;
	uint64_t esr, far, hpfar;     /* of the last trap */

	struct granule *realm;        /* holds a reference, so the RD stays one */
	uint64_t mpidr;               /* RmiRecMpidr */
	bool running, runnable;

	enum rec_pending pending;
	uint64_t host_call_ipa;
	struct {
		uint64_t address, top;
		enum ripas value;
		bool change_destroyed;
	} ripas;

	struct token token;

	uint64_t csselr;              /* CSSELR_EL1, as long as its accesses trap */
	uint64_t traps;               /* REC_TRAP_* of this entry */
	struct rec_timers timers;
	struct rec_gic gic;
	uint64_t sys[REC_SYSREGS];
	unsigned int fp_ahead;        /* so many entries more load its FP registers before it asks for them */
	/* V0-V31, FPCR, FPSR */
	uint64_t fp[66] __attribute__((aligned(16)));
};
_Static_assert(sizeof(struct rec) <= GRANULE_SIZE, "one granule, hence no auxiliary ones");

/* Lock the realm that a running REC belongs to. Each exit for a page of the realm's comes here. */
static inline void rec_lock_realm(const struct rec *rec, struct realm *realm)
{
	realm->granule = rec->realm;
	if (!granule_lock(rec->realm, GRANULE_RD))
		panic("rec: its realm is gone");
	realm->rd = arch_granule(granule_address(rec->realm));
}

/* Instructions that end the run, because the host wants to know of them. */
#define REC_TRAP_WFI BIT(0)
#define REC_TRAP_WFE BIT(1)

/* PSTATE of a REC that starts: EL1h, DAIF masked. */
#define PSTATE_START UINT64_C(0x3c5)

#endif

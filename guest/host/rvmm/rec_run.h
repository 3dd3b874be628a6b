/* SPDX-License-Identifier: Apache-2.0 */
/* RmiRecRun: what a REC is entered with and why it came out (RMM specification 1.0, B4.4; A4.2, A4.3). */
#ifndef RVMM_REC_RUN_H
#define RVMM_REC_RUN_H

#include <stddef.h>
#include <stdint.h>

#define REC_GPRS 31
#define REC_LRS  16

struct rec_enter {
	uint64_t flags, pad0[63];
	uint64_t gprs[REC_GPRS], pad1;
	uint64_t gicv3_hcr, gicv3_lrs[REC_LRS];
	uint64_t pad2[143];
};
_Static_assert(offsetof(struct rec_enter, gprs) == 0x200, "RmiRecEnter");
_Static_assert(offsetof(struct rec_enter, gicv3_hcr) == 0x300, "RmiRecEnter");
_Static_assert(offsetof(struct rec_enter, gicv3_lrs) == 0x308, "RmiRecEnter");
_Static_assert(sizeof(struct rec_enter) == 0x800, "RmiRecEnter");

struct rec_exit {
	uint8_t reason, pad0[0xff];
	uint64_t esr, far, hpfar, pad1[29];
	uint64_t gprs[REC_GPRS], pad2;
	uint64_t gicv3_hcr, gicv3_lrs[REC_LRS];
	uint64_t gicv3_misr, gicv3_vmcr, pad3[13];
	uint64_t cntp_ctl, cntp_cval, cntv_ctl, cntv_cval, pad4[28];
	uint64_t ripas_base, ripas_top;
	uint8_t ripas_value, pad5[0xef];
	uint16_t imm;
	uint8_t pad6[0x1fe];
};
_Static_assert(offsetof(struct rec_exit, esr) == 0x100, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, gprs) == 0x200, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, gicv3_hcr) == 0x300, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, gicv3_misr) == 0x388, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, cntp_ctl) == 0x400, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, ripas_base) == 0x500, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, ripas_value) == 0x510, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, imm) == 0x600, "RmiRecExit");
_Static_assert(sizeof(struct rec_exit) == 0x800, "RmiRecExit");

struct rec_run {
	struct rec_enter enter;
	struct rec_exit exit;
};

#define ENTER_EMUL_MMIO      UINT64_C(1)
#define ENTER_INJECT_SEA     UINT64_C(2)
#define ENTER_TRAP_WFI       UINT64_C(4)
#define ENTER_RIPAS_RESPONSE UINT64_C(16) /* 1: rejected */

enum { REC_EXIT_SYNC, REC_EXIT_IRQ, REC_EXIT_FIQ, REC_EXIT_PSCI, REC_EXIT_RIPAS_CHANGE, REC_EXIT_HOST_CALL, REC_EXIT_SERROR };

enum { RIPAS_EMPTY, RIPAS_RAM };

#endif

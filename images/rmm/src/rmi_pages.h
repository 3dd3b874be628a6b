/* SPDX-License-Identifier: Apache-2.0 */
/* Structures of RMI 1.0 in the host's memory (RMM specification DEN0137 1.0-rel0, B4.4). */
#ifndef RMM_RMI_PAGES_H
#define RMM_RMI_PAGES_H

#include "types.h"

/* RmiRealmParams. */
struct realm_params {
	uint64_t flags;
	uint8_t s2sz, pad0[7];
	uint8_t sve_vl, pad1[7];
	uint8_t num_bps, pad2[7];
	uint8_t num_wps, pad3[7];
	uint8_t pmu_num_ctrs, pad4[7];
	uint8_t hash_algo, pad5[0x400 - 0x31];
	uint8_t rpv[64], pad6[0x800 - 0x440];
	uint16_t vmid, pad7[3];
	uint64_t rtt_base;
	int64_t rtt_level_start;
	uint32_t rtt_num_start, pad8;
	uint8_t pad9[0x1000 - 0x820];
};
_Static_assert(offsetof(struct realm_params, s2sz) == 0x8, "RmiRealmParams");
_Static_assert(offsetof(struct realm_params, sve_vl) == 0x10, "RmiRealmParams");
_Static_assert(offsetof(struct realm_params, num_bps) == 0x18, "RmiRealmParams");
_Static_assert(offsetof(struct realm_params, num_wps) == 0x20, "RmiRealmParams");
_Static_assert(offsetof(struct realm_params, pmu_num_ctrs) == 0x28, "RmiRealmParams");
_Static_assert(offsetof(struct realm_params, hash_algo) == 0x30, "RmiRealmParams");
_Static_assert(offsetof(struct realm_params, rpv) == 0x400, "RmiRealmParams");
_Static_assert(offsetof(struct realm_params, vmid) == 0x800, "RmiRealmParams");
_Static_assert(offsetof(struct realm_params, rtt_base) == 0x808, "RmiRealmParams");
_Static_assert(offsetof(struct realm_params, rtt_level_start) == 0x810, "RmiRealmParams");
_Static_assert(offsetof(struct realm_params, rtt_num_start) == 0x818, "RmiRealmParams");
_Static_assert(sizeof(struct realm_params) == GRANULE_SIZE, "RmiRealmParams");

/* Flags. Those behind them are reserved, which is no failure (B4.3.9). */
#define REALM_LPA2 BIT(0)
#define REALM_SVE  BIT(1)
#define REALM_PMU  BIT(2)

#define HASH_SHA_256 0
#define HASH_SHA_512 1

/* RmiRecParams. */
#define REC_CREATE_GPRS 8
#define REC_MAX_AUX     16
/* REC_AUX_COUNT of every realm: a REC fits its one granule. */
#define REC_AUX_GRANULES 0
struct rec_params {
	uint64_t flags, pad0[31];
	uint64_t mpidr, pad1[31];
	uint64_t pc, pad2[31];
	uint64_t gprs[REC_CREATE_GPRS], pad3[0xa0 - 8];
	uint64_t num_aux;
	uint64_t aux[REC_MAX_AUX];
	uint64_t pad4[0x200 - 0x111];
};
_Static_assert(offsetof(struct rec_params, mpidr) == 0x100, "RmiRecParams");
_Static_assert(offsetof(struct rec_params, pc) == 0x200, "RmiRecParams");
_Static_assert(offsetof(struct rec_params, gprs) == 0x300, "RmiRecParams");
_Static_assert(offsetof(struct rec_params, num_aux) == 0x800, "RmiRecParams");
_Static_assert(offsetof(struct rec_params, aux) == 0x808, "RmiRecParams");
_Static_assert(sizeof(struct rec_params) == GRANULE_SIZE, "RmiRecParams");

#define REC_RUNNABLE UINT64_C(1)

/* RmiRecRun: enter half. */
struct rec_enter {
	uint64_t flags, pad0[63];
	uint64_t gprs[REC_GPRS], pad1;
	uint64_t gicv3_hcr;
	uint64_t gicv3_lrs[REC_LRS];
};
_Static_assert(offsetof(struct rec_enter, gprs) == 0x200, "RmiRecEnter");
_Static_assert(offsetof(struct rec_enter, gicv3_hcr) == 0x300, "RmiRecEnter");
_Static_assert(offsetof(struct rec_enter, gicv3_lrs) == 0x308, "RmiRecEnter");
_Static_assert(sizeof(struct rec_enter) == 0x388, "RmiRecEnter");

#define ENTER_EMUL_MMIO      BIT(0)
#define ENTER_INJECT_SEA     BIT(1)
#define ENTER_TRAP_WFI       BIT(2)
#define ENTER_TRAP_WFE       BIT(3)
#define ENTER_RIPAS_RESPONSE BIT(4)

/* RmiRecRun: exit half. */
#define REC_RUN_EXIT 0x800U
struct rec_exit {
	uint8_t reason, pad0[0xff];
	uint64_t esr, far, hpfar, pad1[29];
	uint64_t gprs[REC_GPRS], pad2;
	uint64_t gicv3_hcr;
	uint64_t gicv3_lrs[REC_LRS];
	uint64_t gicv3_misr, gicv3_vmcr, pad3[13];
	uint64_t cntp_ctl, cntp_cval, cntv_ctl, cntv_cval, pad4[28];
	uint64_t ripas_base, ripas_top;
	uint8_t ripas_value, pad5[0xef];
	uint16_t imm, pad6[0x7f];
	uint8_t pmu_ovf_status, pad7[0xff];
};
_Static_assert(offsetof(struct rec_exit, esr) == 0x100, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, far) == 0x108, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, hpfar) == 0x110, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, gprs) == 0x200, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, gicv3_hcr) == 0x300, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, gicv3_lrs) == 0x308, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, gicv3_misr) == 0x388, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, gicv3_vmcr) == 0x390, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, cntp_ctl) == 0x400, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, cntv_cval) == 0x418, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, ripas_base) == 0x500, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, ripas_value) == 0x510, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, imm) == 0x600, "RmiRecExit");
_Static_assert(offsetof(struct rec_exit, pmu_ovf_status) == 0x700, "RmiRecExit");
_Static_assert(sizeof(struct rec_exit) == 0x800, "RmiRecExit");

enum exit_reason {
	EXIT_SYNC,
	EXIT_IRQ,
	EXIT_FIQ,
	EXIT_PSCI,
	EXIT_RIPAS_CHANGE,
	EXIT_HOST_CALL,
	EXIT_SERROR,
};

#endif

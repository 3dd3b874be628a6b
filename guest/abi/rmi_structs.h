/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * RMI 1.0 in structures: pages that a host gives an RMM, or shares with it (RMM specification DEN0137 1.0-rel0, B4.4).
 *
 * For the kernel and for user space.
 */
#ifndef RMI_STRUCTS_H
#define RMI_STRUCTS_H

#ifdef __KERNEL__
#include <linux/stddef.h>
#include <linux/types.h>
#else
#include <stddef.h>
#include <stdint.h>
#endif

#define RMI_PAGE_BYTES 0x1000

/* RmiRealmParams: argument of REALM_CREATE. */
struct rmi_realm_params {
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
	uint32_t rtt_num_start;
	uint8_t pad8[0x1000 - 0x81c];
};
_Static_assert(offsetof(struct rmi_realm_params, s2sz) == 0x8, "RmiRealmParams");
_Static_assert(offsetof(struct rmi_realm_params, num_bps) == 0x18, "RmiRealmParams");
_Static_assert(offsetof(struct rmi_realm_params, num_wps) == 0x20, "RmiRealmParams");
_Static_assert(offsetof(struct rmi_realm_params, hash_algo) == 0x30, "RmiRealmParams");
_Static_assert(offsetof(struct rmi_realm_params, rpv) == 0x400, "RmiRealmParams");
_Static_assert(offsetof(struct rmi_realm_params, vmid) == 0x800, "RmiRealmParams");
_Static_assert(offsetof(struct rmi_realm_params, rtt_base) == 0x808, "RmiRealmParams");
_Static_assert(offsetof(struct rmi_realm_params, rtt_num_start) == 0x818, "RmiRealmParams");
_Static_assert(sizeof(struct rmi_realm_params) == RMI_PAGE_BYTES, "RmiRealmParams");

/* RmiRecParams: argument of REC_CREATE. */
#define REC_CREATE_GPRS 8
#define REC_MAX_AUX     16

struct rmi_rec_params {
	uint64_t flags, pad0[31];
	uint64_t mpidr, pad1[31];
	uint64_t pc, pad2[31];
	uint64_t gprs[REC_CREATE_GPRS], pad3[0xa0 - REC_CREATE_GPRS];
	uint64_t num_aux, aux[REC_MAX_AUX];
	uint64_t pad4[0x100 - 1 - REC_MAX_AUX];
};
_Static_assert(offsetof(struct rmi_rec_params, mpidr) == 0x100, "RmiRecParams");
_Static_assert(offsetof(struct rmi_rec_params, pc) == 0x200, "RmiRecParams");
_Static_assert(offsetof(struct rmi_rec_params, gprs) == 0x300, "RmiRecParams");
_Static_assert(offsetof(struct rmi_rec_params, num_aux) == 0x800, "RmiRecParams");
_Static_assert(offsetof(struct rmi_rec_params, aux) == 0x808, "RmiRecParams");
_Static_assert(sizeof(struct rmi_rec_params) == RMI_PAGE_BYTES, "RmiRecParams");

/* RmiRecRun: what a REC is entered with, and why it came out (A4.2, A4.3). */
#define REC_GPRS 31
#define REC_LRS  16

struct rmi_rec_enter {
	uint64_t flags, pad0[63];
	uint64_t gprs[REC_GPRS], pad1;
	uint64_t gicv3_hcr, gicv3_lrs[REC_LRS];
	uint64_t pad2[143];
};
_Static_assert(offsetof(struct rmi_rec_enter, gprs) == 0x200, "RmiRecEnter");
_Static_assert(offsetof(struct rmi_rec_enter, gicv3_hcr) == 0x300, "RmiRecEnter");
_Static_assert(offsetof(struct rmi_rec_enter, gicv3_lrs) == 0x308, "RmiRecEnter");
_Static_assert(sizeof(struct rmi_rec_enter) == 0x800, "RmiRecEnter");

struct rmi_rec_exit {
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
_Static_assert(offsetof(struct rmi_rec_exit, esr) == 0x100, "RmiRecExit");
_Static_assert(offsetof(struct rmi_rec_exit, gprs) == 0x200, "RmiRecExit");
_Static_assert(offsetof(struct rmi_rec_exit, gicv3_hcr) == 0x300, "RmiRecExit");
_Static_assert(offsetof(struct rmi_rec_exit, gicv3_misr) == 0x388, "RmiRecExit");
_Static_assert(offsetof(struct rmi_rec_exit, cntp_ctl) == 0x400, "RmiRecExit");
_Static_assert(offsetof(struct rmi_rec_exit, ripas_base) == 0x500, "RmiRecExit");
_Static_assert(offsetof(struct rmi_rec_exit, ripas_value) == 0x510, "RmiRecExit");
_Static_assert(offsetof(struct rmi_rec_exit, imm) == 0x600, "RmiRecExit");
_Static_assert(sizeof(struct rmi_rec_exit) == 0x800, "RmiRecExit");

struct rmi_rec_run {
	struct rmi_rec_enter enter;
	struct rmi_rec_exit exit;
};
_Static_assert(sizeof(struct rmi_rec_run) == RMI_PAGE_BYTES, "RmiRecRun");

#endif

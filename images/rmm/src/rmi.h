/* SPDX-License-Identifier: Apache-2.0 */
/* RMI 1.0 as the host sees it: RMM specification DEN0137 1.0-rel0, B4. */
#ifndef RMM_RMI_H
#define RMM_RMI_H

#include "types.h"

#define RMI_FIRST UINT64_C(0xC4000150)
#define RMI_LAST  UINT64_C(0xC400018F)

/* B4.3: command numbers. */
#define RMI_VERSION             0xC4000150U
#define RMI_GRANULE_DELEGATE    0xC4000151U
#define RMI_GRANULE_UNDELEGATE  0xC4000152U
#define RMI_DATA_CREATE         0xC4000153U
#define RMI_DATA_CREATE_UNKNOWN 0xC4000154U
#define RMI_DATA_DESTROY        0xC4000155U
#define RMI_REALM_ACTIVATE      0xC4000157U
#define RMI_REALM_CREATE        0xC4000158U
#define RMI_REALM_DESTROY       0xC4000159U
#define RMI_REC_CREATE          0xC400015AU
#define RMI_REC_DESTROY         0xC400015BU
#define RMI_REC_ENTER           0xC400015CU
#define RMI_RTT_CREATE          0xC400015DU
#define RMI_RTT_DESTROY         0xC400015EU
#define RMI_RTT_MAP_UNPROTECTED 0xC400015FU
#define RMI_RTT_READ_ENTRY      0xC4000161U
#define RMI_RTT_UNMAP_UNPROTECTED 0xC4000162U
#define RMI_PSCI_COMPLETE       0xC4000164U
#define RMI_FEATURES            0xC4000165U
#define RMI_RTT_FOLD            0xC4000166U
#define RMI_REC_AUX_COUNT       0xC4000167U
#define RMI_RTT_INIT_RIPAS      0xC4000168U
#define RMI_RTT_SET_RIPAS       0xC4000169U

/* B4.4: return codes; status in 7:0, index in 15:8. */
#define RMI_SUCCESS       UINT64_C(0)
#define RMI_ERROR_INPUT   UINT64_C(1)
#define RMI_ERROR_REALM   UINT64_C(2)
#define RMI_ERROR_REC     UINT64_C(3)
#define RMI_ERROR_RTT     UINT64_C(4)
#define RMI_STATUS(code, index) ((code) | ((uint64_t)(index) << 8))
#define SMC_NOT_SUPPORTED (~UINT64_C(0))

#define ABI_VERSION_1_0 UINT64_C(0x10000)

/* B3/B4.4: feature register 0. */
#define FEATURE_S2SZ          UINT64_C(48)
#define FEATURE_RECS_ORDER    UINT64_C(8)

#define MAX_RECS ((1U << FEATURE_RECS_ORDER) - 1)

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

#define HASH_SHA_256 0

/* RmiRecParams. */
#define REC_CREATE_GPRS 8
#define REC_MAX_AUX     16
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
#define REC_GPRS    31
#define REC_LRS     16
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

/* Handle one request: the caller's x0..x7 in, its x0..x4 out. */
void rmi_handle(const uint64_t *request, uint64_t *answer);

#endif

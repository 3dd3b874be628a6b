/* SPDX-License-Identifier: Apache-2.0 */
/* The public ABI that the checks use, and nothing else: RMI and RSI 1.0 (DEN0137 1.0-rel0, B4, B5), PSCI 1.1. */
#ifndef ABI_H
#define ABI_H

#include <stddef.h>
#include <stdint.h>

#define PAGE UINT64_C(0x1000)
#define BIT(n) (UINT64_C(1) << (n))

/* B4.3: RMI commands. */
#define RMI_VERSION               0xC4000150U
#define RMI_GRANULE_DELEGATE      0xC4000151U
#define RMI_GRANULE_UNDELEGATE    0xC4000152U
#define RMI_DATA_CREATE           0xC4000153U
#define RMI_DATA_CREATE_UNKNOWN   0xC4000154U
#define RMI_DATA_DESTROY          0xC4000155U
#define RMI_REALM_ACTIVATE        0xC4000157U
#define RMI_REALM_CREATE          0xC4000158U
#define RMI_REALM_DESTROY         0xC4000159U
#define RMI_REC_CREATE            0xC400015AU
#define RMI_REC_DESTROY           0xC400015BU
#define RMI_REC_ENTER             0xC400015CU
#define RMI_RTT_CREATE            0xC400015DU
#define RMI_RTT_DESTROY           0xC400015EU
#define RMI_RTT_MAP_UNPROTECTED   0xC400015FU
#define RMI_RTT_READ_ENTRY        0xC4000161U
#define RMI_RTT_UNMAP_UNPROTECTED 0xC4000162U
#define RMI_PSCI_COMPLETE         0xC4000164U
#define RMI_FEATURES              0xC4000165U
#define RMI_RTT_FOLD              0xC4000166U
#define RMI_REC_AUX_COUNT         0xC4000167U
#define RMI_RTT_INIT_RIPAS        0xC4000168U
#define RMI_RTT_SET_RIPAS         0xC4000169U

/* B4.4: status in 7:0, index in 15:8. */
#define RMI_SUCCESS        UINT64_C(0)
#define RMI_ERROR_INPUT    UINT64_C(1)
#define RMI_ERROR_REALM(n) (UINT64_C(2) | (uint64_t)(n) << 8)
#define RMI_ERROR_REC      UINT64_C(3)
#define RMI_ERROR_RTT(n)   (UINT64_C(4) | (uint64_t)(n) << 8)
#define NOT_SUPPORTED      (~UINT64_C(0))
#define ABI_1_0            UINT64_C(0x10000)

/* B4.4: feature register 0. */
#define FEATURE_S2SZ(f)       ((f) & 0xff)
#define FEATURE_LPA2          BIT(8)
#define FEATURE_SVE           BIT(9)
#define FEATURE_BPS(f)        ((f) >> 14 & 0x3f)
#define FEATURE_WPS(f)        ((f) >> 20 & 0x3f)
#define FEATURE_PMU           BIT(26)
#define FEATURE_SHA_256       BIT(32)
#define FEATURE_SHA_512       BIT(33)
#define FEATURE_LRS(f)        (((f) >> 34 & 15) + 1)
#define FEATURE_RECS_ORDER(f) ((f) >> 38 & 15)

#define STATE_UNASSIGNED UINT64_C(0)
#define STATE_ASSIGNED   UINT64_C(1)
#define STATE_TABLE      UINT64_C(2)
#define RIPAS_EMPTY      UINT64_C(0)
#define RIPAS_RAM        UINT64_C(1)
#define RIPAS_DESTROYED  UINT64_C(2)

#define DATA_MEASURE UINT64_C(1)
#define HASH_SHA_256 0U
#define HASH_SHA_512 1U
#define MAX_AUX      16U

#define PARAM_LPA2 BIT(0)
#define PARAM_SVE  BIT(1)
#define PARAM_PMU  BIT(2)
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
	uint32_t rtt_num_start, pad8[0x1f9];
};
_Static_assert(offsetof(struct realm_params, hash_algo) == 0x30, "RmiRealmParams");
_Static_assert(offsetof(struct realm_params, rpv) == 0x400, "RmiRealmParams");
_Static_assert(offsetof(struct realm_params, vmid) == 0x800, "RmiRealmParams");
_Static_assert(offsetof(struct realm_params, rtt_num_start) == 0x818, "RmiRealmParams");
_Static_assert(sizeof(struct realm_params) == PAGE, "RmiRealmParams");

#define REC_RUNNABLE UINT64_C(1)
struct rec_params {
	uint64_t flags, pad0[31];
	uint64_t mpidr, pad1[31];
	uint64_t pc, pad2[31];
	uint64_t gprs[8], pad3[0x98];
	uint64_t num_aux, aux[MAX_AUX], pad4[0xef];
};
_Static_assert(offsetof(struct rec_params, gprs) == 0x300, "RmiRecParams");
_Static_assert(offsetof(struct rec_params, num_aux) == 0x800, "RmiRecParams");
_Static_assert(sizeof(struct rec_params) == PAGE, "RmiRecParams");

#define ENTER_EMUL_MMIO  BIT(0)
#define ENTER_INJECT_SEA BIT(1)
#define ENTER_TRAP_WFI   BIT(2)
#define ENTER_TRAP_WFE   BIT(3)
#define ENTER_REJECT     BIT(4)

#define LRS 16U
struct rec_run {
	struct {
		uint64_t flags, pad0[63];
		uint64_t gprs[31], pad1;
		uint64_t gicv3_hcr, gicv3_lrs[LRS], pad2[0x8f];
	} enter;
	struct {
		uint64_t reason, pad0[31];       /* a byte in the specification; the rest of the field is zero */
		uint64_t esr, far, hpfar, pad1[29];
		uint64_t gprs[31], pad2;
		uint64_t gicv3_hcr, gicv3_lrs[LRS], gicv3_misr, gicv3_vmcr, pad3[13];
		uint64_t cntp_ctl, cntp_cval, cntv_ctl, cntv_cval, pad4[28];
		uint64_t ripas_base, ripas_top, ripas_value, pad5[29];
		uint64_t imm, pad6[31];
		uint64_t pmu_ovf_status, pad7[31];
	} exit;
};
_Static_assert(offsetof(struct rec_run, enter.gicv3_hcr) == 0x300, "RmiRecEnter");
_Static_assert(offsetof(struct rec_run, exit) == 0x800, "RmiRecRun");
_Static_assert(offsetof(struct rec_run, exit.gprs) == 0xa00, "RmiRecExit");
_Static_assert(offsetof(struct rec_run, exit.gicv3_misr) == 0xb88, "RmiRecExit");
_Static_assert(offsetof(struct rec_run, exit.cntp_ctl) == 0xc00, "RmiRecExit");
_Static_assert(offsetof(struct rec_run, exit.ripas_base) == 0xd00, "RmiRecExit");
_Static_assert(offsetof(struct rec_run, exit.imm) == 0xe00, "RmiRecExit");
_Static_assert(offsetof(struct rec_run, exit.pmu_ovf_status) == 0xf00, "RmiRecExit");
_Static_assert(sizeof(struct rec_run) == PAGE, "RmiRecRun");

enum exit_reason {
	EXIT_SYNC,
	EXIT_IRQ,
	EXIT_FIQ,
	EXIT_PSCI,
	EXIT_RIPAS_CHANGE,
	EXIT_HOST_CALL,
	EXIT_SERROR,
};

/* Interrupt list register (GICv3, ICH_LR<n>_EL2). */
#define LR_PENDING(id) (BIT(62) | BIT(60) | UINT64_C(0xa0) << 48 | (id))
#define LR_STATE(lr)   ((lr) >> 62)
#define LR_HW          BIT(61)

/* Timer control: enabled, not masked, condition met. */
#define TIMER_FIRES(ctl) (((ctl) & 7) == 5)

/* Exception syndromes. */
#define ESR_EC(esr)    ((esr) >> 26 & 0x3f)
#define ESR_IL         BIT(25)
#define ESR_ISV        BIT(24)
#define ESR_SAS(esr)   ((esr) >> 22 & 3)
#define ESR_SF         BIT(15)
#define ESR_EA         BIT(9)
#define ESR_WNR        BIT(6)
#define ESR_FSC(esr)   ((esr) & 0x3f)
#define EC_UNKNOWN     UINT64_C(0x00)
#define EC_WFX         UINT64_C(0x01)
#define EC_SYSREG      UINT64_C(0x18)
#define EC_INST_LOWER  UINT64_C(0x20)
#define EC_INST_SAME   UINT64_C(0x21)
#define EC_DATA_LOWER  UINT64_C(0x24)
#define EC_DATA_SAME   UINT64_C(0x25)
#define FSC_EXTERNAL   UINT64_C(0x10)
#define FSC_GPF        UINT64_C(0x28)
#define FSC_TRANSLATION(level) (UINT64_C(4) + (level))

/* B5.3: RSI commands. */
#define RSI_VERSION          0xC4000190U
#define RSI_FEATURES         0xC4000191U
#define RSI_MEASUREMENT_READ 0xC4000192U
#define RSI_MEASUREMENT_EXTEND         0xC4000193U
#define RSI_ATTESTATION_TOKEN_INIT     0xC4000194U
#define RSI_ATTESTATION_TOKEN_CONTINUE 0xC4000195U
#define RSI_REALM_CONFIG     0xC4000196U
#define RSI_IPA_STATE_SET    0xC4000197U
#define RSI_IPA_STATE_GET    0xC4000198U
#define RSI_HOST_CALL        0xC4000199U
#define RSI_SUCCESS     UINT64_C(0)
#define RSI_ERROR_INPUT UINT64_C(1)
#define RSI_ERROR_STATE UINT64_C(2)
#define RSI_INCOMPLETE  UINT64_C(3)
#define RSI_ACCEPT      UINT64_C(0)
#define RSI_REJECT      UINT64_C(1)
#define RSI_CHANGE_DESTROYED UINT64_C(1)

/* PSCI. */
#define SMCCC_VERSION      0x80000000U
#define PSCI_VERSION       0x84000000U
#define PSCI_CPU_OFF       0x84000002U
#define PSCI_SYSTEM_OFF    0x84000008U
#define PSCI_SYSTEM_RESET  0x84000009U
#define PSCI_FEATURES      0x8400000AU
#define PSCI_CPU_SUSPEND   0xC4000001U
#define PSCI_CPU_ON        0xC4000003U
#define PSCI_AFFINITY_INFO 0xC4000004U
#define PSCI_INVALID_PARAMETERS ((uint64_t)-2)
#define PSCI_DENIED             ((uint64_t)-3)
#define PSCI_ALREADY_ON         ((uint64_t)-4)
#define PSCI_INVALID_ADDRESS    ((uint64_t)-9)

#endif

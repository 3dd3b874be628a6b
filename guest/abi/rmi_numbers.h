/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * RMI 1.0 in numbers (RMM specification DEN0137 1.0-rel0, B3 and B4), for who calls an RMM and for who gets to see what
 * it answers: driver and VMM. Here, in rmi_structs.h and in rmi_rules.h is what changes with the version of the ABI.
 *
 * The RMM (images/rmm) and the tests of the ABI have numbers of their own, or a mistake would be made on both sides alike.
 *
 * The header is freestanding.
 */
#ifndef RMI_NUMBERS_H
#define RMI_NUMBERS_H

#define RMI_ABI_1_0 0x10000

/* B4.3: function ids. */
#define RMI_VERSION               0xc4000150
#define RMI_GRANULE_DELEGATE      0xc4000151
#define RMI_GRANULE_UNDELEGATE    0xc4000152
#define RMI_DATA_CREATE           0xc4000153
#define RMI_DATA_CREATE_UNKNOWN   0xc4000154
#define RMI_DATA_DESTROY          0xc4000155
#define RMI_REALM_ACTIVATE        0xc4000157
#define RMI_REALM_CREATE          0xc4000158
#define RMI_REALM_DESTROY         0xc4000159
#define RMI_REC_CREATE            0xc400015a
#define RMI_REC_DESTROY           0xc400015b
#define RMI_REC_ENTER             0xc400015c
#define RMI_RTT_CREATE            0xc400015d
#define RMI_RTT_DESTROY           0xc400015e
#define RMI_RTT_MAP_UNPROTECTED   0xc400015f
#define RMI_RTT_UNMAP_UNPROTECTED 0xc4000162
#define RMI_PSCI_COMPLETE         0xc4000164
#define RMI_FEATURES              0xc4000165
#define RMI_REC_AUX_COUNT         0xc4000167
#define RMI_RTT_INIT_RIPAS        0xc4000168
#define RMI_RTT_SET_RIPAS         0xc4000169

/* B4.4 RmiCommandReturnCode: what x0 says. */
#define RMI_STATUS(x0)  ((x0) & 0xff)
#define RMI_INDEX(x0)   ((x0) >> 8 & 0xff)
#define RMI_SUCCESS     0
#define RMI_ERROR_REALM 2
#define RMI_ERROR_REC   3
#define RMI_ERROR_RTT   4

/* B3: feature register 0. Break- and watchpoints are counted less one. */
#define RMI_FEATURE_S2SZ(f0)    ((unsigned int)((f0) & 0xff))
#define RMI_FEATURE_NUM_BPS(f0) ((unsigned int)((f0) >> 14 & 0x3f))
#define RMI_FEATURE_NUM_WPS(f0) ((unsigned int)((f0) >> 20 & 0x3f))
#define RMI_FEATURE_GIC_LRS(f0) ((unsigned int)((f0) >> 34 & 0xf) + 1)

/* RTT_MAP_UNPROTECTED's descriptor with forced write-back (MemAttr 0b110), read and write. */
#define RMI_UNPROTECTED_NORMAL (6 << 2 | 3 << 6)

/* Levels of a realm's tables: the one that maps pages. */
#define RTT_PAGE_LEVEL 3

/* RmiRipas. */
enum { RIPAS_EMPTY, RIPAS_RAM };

/* RmiRecRun: flags of an entry ... */
#define REC_ENTER_EMUL_MMIO      (1ULL << 0)
#define REC_ENTER_INJECT_SEA     (1ULL << 1)
#define REC_ENTER_TRAP_WFI       (1ULL << 2)
#define REC_ENTER_TRAP_WFE       (1ULL << 3)
#define REC_ENTER_RIPAS_RESPONSE (1ULL << 4) /* 1: rejected */

/* ... and reasons of an exit (RmiRecExitReason). */
enum {
	REC_EXIT_SYNC,
	REC_EXIT_IRQ,
	REC_EXIT_FIQ,
	REC_EXIT_PSCI,
	REC_EXIT_RIPAS_CHANGE,
	REC_EXIT_HOST_CALL,
	REC_EXIT_SERROR,
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of RMI 1.0 (RMM specification DEN0137 1.0-rel0, B4): commands, return codes, features. */
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
/* The index has eight bits; a walk that ends at level -1 has all of them. */
#define RMI_STATUS(code, index) ((code) | ((uint64_t)(index) & 0xff) << 8)

#define RMI_ABI_1_0 UINT64_C(0x10000)

/* B3/B4.4: feature register 0. */
#define FEATURE_S2SZ          48U
#define FEATURE_S2SZ_WIDE     52U  /* with LPA2 */
#define FEATURE_LPA2          BIT(8)
#define FEATURE_RECS_ORDER    UINT64_C(8)

#define MAX_RECS ((1U << FEATURE_RECS_ORDER) - 1)

#endif

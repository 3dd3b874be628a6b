/* SPDX-License-Identifier: Apache-2.0 */
/* Exception syndromes (Arm ARM, ESR_ELx). */
#ifndef RMM_ESR_H
#define RMM_ESR_H

#include "types.h"

#define ESR_EC(esr)  ((unsigned int)((esr) >> 26 & 0x3f))
#define ESR_CLASS(ec) ((uint64_t)(ec) << 26)

#define EC_UNKNOWN      0x00U
#define EC_WFX          0x01U
#define EC_HVC64        0x16U
#define EC_SMC64        0x17U
#define EC_SYSREG       0x18U
#define EC_INSTRUCTION_LOWER 0x20U
#define EC_INSTRUCTION_SAME  0x21U
#define EC_DATA_LOWER   0x24U
#define EC_DATA_SAME    0x25U

#define ESR_EC_MASK MASK(31, 26)
#define ESR_IL      BIT(25)
/* Aborts. */
#define ESR_ISV     BIT(24)
#define ESR_SAS     MASK(23, 22)
#define ESR_SSE     BIT(21)
#define ESR_SRT(esr) ((unsigned int)((esr) >> 16 & 31))
#define ESR_SF      BIT(15)
#define ESR_SET     MASK(12, 11)
#define ESR_FNV     BIT(10)
#define ESR_EA      BIT(9)
#define ESR_S1PTW   BIT(7)
#define ESR_WNR     BIT(6)
#define ESR_FSC     MASK(5, 0)
#define FSC_ADDRESS_SIZE_0 UINT64_C(0x00)
#define FSC_ADDRESS_SIZE_MINUS_1 UINT64_C(0x29)
#define FSC_TRANSLATION_0  UINT64_C(0x04)
#define FSC_TRANSLATION_MINUS_1 UINT64_C(0x2b)
#define FSC_EXTERNAL       UINT64_C(0x10)
#define FSC_EXTERNAL_WALK  UINT64_C(0x14) /* to 0x17: on a walk of stage 1, by level */
#define FSC_GPF            UINT64_C(0x28) /* granule protection fault, not on a walk */
/* WFx. */
#define ESR_WFX_TI  MASK(1, 0)
/* System registers: the encoding of the register, target register, direction. */
#define ESR_SYS_REGISTER (MASK(21, 10) | MASK(4, 1))
#define ESR_SYS_RT(esr)  ((unsigned int)((esr) >> 5 & 31))
#define ESR_SYS_READ     BIT(0)
#define SYS(op0, op1, crn, crm, op2)                                                            \
	((uint64_t)(op0) << 20 | (uint64_t)(op2) << 17 | (uint64_t)(op1) << 14 | (uint64_t)(crn) << 10 | \
	 (uint64_t)(crm) << 1)

#endif

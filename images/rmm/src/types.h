/* SPDX-License-Identifier: Apache-2.0 */
/* Basic types and constants that every part of the RMM uses. */
#ifndef RMM_TYPES_H
#define RMM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRANULE_SHIFT 12U
#define GRANULE_SIZE  (UINT64_C(1) << GRANULE_SHIFT)
#define GRANULE_MASK  (GRANULE_SIZE - 1)

#define BIT(n)           (UINT64_C(1) << (n))
#define MASK(high, low)  ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))
#define ARRAY_SIZE(a)    (sizeof(a) / sizeof((a)[0]))

/* TF-A's PLATFORM_CORE_COUNT for the QEMU board: the linear CPU numbers are below it. */
#define MAX_CPUS 32U

/* What the architecture has at most: general registers, GIC list registers. */
#define REC_GPRS 31
#define REC_LRS  16

/* Physical memory that may be delegated: DRAM behind the RMM's own region up to the end of what the granule
 * protection tables describe page by page (TF-A plat/qemu/qemu: NS_DRAM0). */
#define RMM_BASE      UINT64_C(0x40100000)
#define RMM_END       UINT64_C(0x41900000)
#define DELEGABLE_MIN RMM_END
#define DELEGABLE_MAX UINT64_C(0x100000000)
/* Memory of the normal world, which a host may name in a command: also what lies below the RMM's own. */
#define NS_MIN        UINT64_C(0x40000000)
#define NS_MAX        DELEGABLE_MAX

static inline bool is_granule_aligned(uint64_t address)
{
	return (address & GRANULE_MASK) == 0;
}

#endif

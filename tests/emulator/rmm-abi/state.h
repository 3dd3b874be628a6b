/* SPDX-License-Identifier: Apache-2.0 */
/* EL1 and EL0 registers that the host and a realm share a CPU's copy of: filled from a pattern and compared with it. */
#ifndef STATE_H
#define STATE_H

#include <stdint.h>

#define READ_SYSREG(name)                                        \
	({                                                       \
		uint64_t value_;                                 \
		__asm__ volatile("mrs %0, " #name : "=r"(value_)); \
		value_;                                          \
	})
#define WRITE_SYSREG(name, value) __asm__ volatile("msr " #name ", %0" : : "r"((uint64_t)(value)) : "memory")

#define STATE_COMMON(X)                                                                                       \
	X(sp_el0) X(tpidr_el0) X(tpidrro_el0) X(tpidr_el1) X(elr_el1) X(spsr_el1) X(far_el1) X(esr_el1)       \
	X(afsr0_el1) X(afsr1_el1) X(ttbr0_el1) X(ttbr1_el1) X(tcr_el1) X(mair_el1) X(amair_el1)               \
	X(contextidr_el1) X(par_el1) X(cntkctl_el1) X(csselr_el1)

/* Keys of pointer authentication: an RMM need not offer that to realms. */
#define STATE_KEYS(X)                                                                                         \
	X(apiakeylo_el1) X(apiakeyhi_el1) X(apibkeylo_el1) X(apibkeyhi_el1) X(apdakeylo_el1) X(apdakeyhi_el1)  \
	X(apdbkeylo_el1) X(apdbkeyhi_el1) X(apgakeylo_el1) X(apgakeyhi_el1)

void fp_set(uint64_t pattern);
uint64_t fp_differences(uint64_t pattern);

#endif

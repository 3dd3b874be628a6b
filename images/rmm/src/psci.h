/* SPDX-License-Identifier: Apache-2.0 */
/* PSCI 1.1 for realms (RMM 1.0, B6). */
#ifndef RMM_PSCI_H
#define RMM_PSCI_H

#include "step.h"

#define PSCI_VERSION        0x84000000U
#define PSCI_CPU_OFF        0x84000002U
#define PSCI_SYSTEM_OFF     0x84000008U
#define PSCI_SYSTEM_RESET   0x84000009U
#define PSCI_FEATURES       0x8400000AU
#define PSCI_CPU_SUSPEND    0xC4000001U
#define PSCI_CPU_ON         0xC4000003U
#define PSCI_AFFINITY_INFO  0xC4000004U

#define PSCI_SUCCESS            UINT64_C(0)
#define PSCI_NOT_SUPPORTED      (~UINT64_C(0))
#define PSCI_INVALID_PARAMETERS ((uint64_t)-2)
#define PSCI_DENIED             ((uint64_t)-3)
#define PSCI_ALREADY_ON         ((uint64_t)-4)
#define PSCI_INVALID_ADDRESS    ((uint64_t)-9)

#define AFFINITY_ON  UINT64_C(0)
#define AFFINITY_OFF UINT64_C(1)

/* A call that is no RSI command. */
enum step run_psci(struct run *run);

/* Is this MPIDR_EL1's affinity fields and nothing else? Then *mpidr is the same in the order of RmiRecMpidr. */
bool psci_mpidr(uint64_t affinity, uint64_t *mpidr);

#endif

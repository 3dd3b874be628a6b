/* SPDX-License-Identifier: Apache-2.0 */
/* Per-CPU state: buffers for copies of normal-world structures, so that nothing is read from there twice. */
#ifndef RMM_CPU_H
#define RMM_CPU_H

#include "types.h"

struct cpu {
	/* Private copy of the one parameter page a command may have, and the page in which it answers. */
	uint64_t in[GRANULE_SIZE / 8] __attribute__((aligned(64)));
	uint64_t out[GRANULE_SIZE / 8];
};

/* The buffers of the calling CPU. Commands do not nest and interrupts are masked: no lock. */
struct cpu *cpu_this(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu.h"

#include "arch.h"

static struct cpu cpus[MAX_CPUS];

struct cpu *cpu_this(void)
{
	return &cpus[arch_cpu()];
}

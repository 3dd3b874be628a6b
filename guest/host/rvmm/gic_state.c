/* SPDX-License-Identifier: Apache-2.0 */
#include "gic_state.h"

#include <string.h>

#define SGIS 0xffffU

void gic_init(struct gic *gic, unsigned int cpus, unsigned int lrs)
{
	unsigned int i;

	memset(gic, 0, sizeof(*gic));
	gic->cpus = cpus < MAX_VCPUS ? cpus : MAX_VCPUS;
	gic->lrs = lrs < GIC_MAX_LRS ? lrs : GIC_MAX_LRS;
	for (i = 0; i < gic->cpus; i++)
		gic->cpu[i].private.edge = SGIS;
}

static uint32_t pending(const struct gic_bank *bank)
{
	return bank->latch | (bank->line & ~bank->edge);
}

uint32_t gic_deliverable(const struct gic *gic, const struct gic_bank *bank)
{
	return gic->enabled ? pending(bank) & bank->enabled & bank->group : 0;
}

unsigned int gic_target(const struct gic *gic, unsigned int spi)
{
	uint64_t route = gic->route[spi];

	/* IRM: any CPU. An affinity that nobody has: nobody (cpus is one past the last). */
	if ((route & ROUTE_IRM) != 0)
		return 0;
	return route < gic->cpus ? (unsigned int)route : gic->cpus;
}

uint32_t gic_mine(const struct gic *gic, unsigned int cpu, uint32_t set)
{
	uint32_t bound = gic->shared.active | gic->shared.held, result = 0;
	unsigned int i;

	for (; set != 0; set &= set - 1) {
		i = (unsigned int)__builtin_ctz(set);
		if (((bound >> i & 1) != 0 ? gic->owner[i] : gic_target(gic, i)) == cpu)
			result |= UINT32_C(1) << i;
	}
	return result;
}

bool gic_waiting(const struct gic *gic, unsigned int cpu)
{
	const struct gic_bank *private = &gic->cpu[cpu].private, *shared = &gic->shared;

	if ((gic_deliverable(gic, private) & ~private->active & ~private->held) != 0)
		return true;
	return gic_mine(gic, cpu, gic_deliverable(gic, shared) & ~shared->active & ~shared->held) != 0;
}

uint32_t gic_wake_mask(const struct gic *gic)
{
	uint32_t mask = 0;
	unsigned int i;

	for (i = 0; i < gic->cpus; i++)
		if (gic_waiting(gic, i))
			mask |= UINT32_C(1) << i;
	return mask;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What gic.c and gic_mmio.c share. */
#ifndef RVMM_GIC_STATE_H
#define RVMM_GIC_STATE_H

#include "gic.h"

#define GIC_INTIDS 64U

#define ROUTE_IRM (UINT64_C(1) << 31)

/* vCPU that an SPI goes to when it becomes pending; gic->cpus: none. */
unsigned int gic_target(const struct gic *gic, unsigned int spi);

/* All vCPUs that have something to take. */
uint32_t gic_wake_mask(const struct gic *gic);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* State of a GIC (gic.h), and what of it is to be delivered to whom. */
#ifndef RVMM_GIC_STATE_H
#define RVMM_GIC_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

#define GIC_INTIDS  64U
#define GIC_MAX_LRS 16U

/* 32 interrupts; a bit each. */
struct gic_bank {
	uint32_t group, enabled, edge;
	uint32_t latch;    /* pending by an edge, an SGI or a write to ISPENDR */
	uint32_t line;     /* level of the input */
	uint32_t active;
	uint32_t held;     /* in list registers of a vCPU that runs */
	uint8_t priority[32];
};

struct gic_cpu {
	struct gic_bank private;
	bool awake;                          /* GICR_WAKER */
	unsigned int listed;                 /* list registers in use while it runs */
	uint16_t intid[GIC_MAX_LRS];         /* what is in each */
};

struct gic {
	unsigned int cpus, lrs;
	bool enabled;                        /* GICD_CTLR.EnableGrp1 */
	struct gic_cpu cpu[MAX_VCPUS];
	struct gic_bank shared;
	uint64_t route[32];                  /* GICD_IROUTER */
	uint8_t owner[32];                   /* vCPU that has an SPI active or listed */
};

#define ROUTE_IRM (UINT64_C(1) << 31)

void gic_init(struct gic *gic, unsigned int cpus, unsigned int lrs);

/* Of a bank: what is pending and may be delivered, active or not. */
uint32_t gic_deliverable(const struct gic *gic, const struct gic_bank *bank);

/* vCPU that an SPI goes to when it becomes pending; gic->cpus: none. */
unsigned int gic_target(const struct gic *gic, unsigned int spi);

/* Those of `set`, SPIs, that are this vCPU's business: an active or listed one stays where it was taken. */
uint32_t gic_mine(const struct gic *gic, unsigned int cpu, uint32_t set);

/* Is an interrupt waiting for this vCPU? (Ends a WFI.) */
bool gic_waiting(const struct gic *gic, unsigned int cpu);

/* All vCPUs that have something to take. */
uint32_t gic_wake_mask(const struct gic *gic);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GICv3 (IHI 0069) for realms: distributor, redistributors and the list registers that REC_ENTER takes and gives back
 * (RMM specification 1.0, A6.1). One security state, affinity routing, group 1 only, 32 SPIs, no LPIs. Pure logic: callers
 * serialise, and wake or interrupt the vCPUs whose bit is in a returned mask.
 *
 * While a vCPU runs, what is in its list registers is theirs (`held`): gic_fill() before an entry, gic_fold() behind it.
 */
#ifndef RVMM_GIC_H
#define RVMM_GIC_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

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

void gic_init(struct gic *gic, unsigned int cpus, unsigned int lrs);

/*
 * An access to a frame by vCPU `cpu`: `bytes` is 1, 2, 4 or 8. False: no GIC there. Reads fill *value; *wake gets the
 * vCPUs that now have something to take.
 */
bool gic_access(struct gic *gic, uint64_t address, unsigned int bytes, bool write, uint64_t *value, uint32_t *wake);

/* Inputs; both return the vCPUs that now have something to take. */
uint32_t gic_set_ppi(struct gic *gic, unsigned int cpu, unsigned int intid, bool level);
uint32_t gic_set_spi(struct gic *gic, unsigned int spi, bool level);

/* A write of vCPU `cpu` to ICC_SGI1R_EL1 or ICC_DIR_EL1; both return the vCPUs that now have something to take. */
uint32_t gic_send_sgi(struct gic *gic, unsigned int cpu, uint64_t value);
uint32_t gic_deactivate(struct gic *gic, unsigned int cpu, uint64_t intid);

/* List registers and ICH_HCR_EL2 bits for an entry of this vCPU; takes back what the exit left in them. An SPI whose route
 * was changed meanwhile is then for another vCPU, which is in the mask that gic_fold() returns. */
void gic_fill(struct gic *gic, unsigned int cpu, uint64_t lrs[GIC_MAX_LRS], uint64_t *hcr);
uint32_t gic_fold(struct gic *gic, unsigned int cpu, const uint64_t lrs[GIC_MAX_LRS], uint64_t hcr);

/* Is an interrupt waiting for this vCPU? (Ends a WFI.) */
bool gic_waiting(const struct gic *gic, unsigned int cpu);

#endif

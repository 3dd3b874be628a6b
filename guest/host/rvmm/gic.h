/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GICv3 (IHI 0069) for realms: distributor, redistributors and the list registers that REC_ENTER takes and gives back
 * (RMM specification 1.0, A6.1). One security state, affinity routing, group 1 only, 32 SPIs, no LPIs. Pure logic: callers
 * serialise, and wake or interrupt the vCPUs whose bit is in a returned mask. Its state is in gic_state.h, the registers
 * that a guest sees are in gic_mmio.h.
 *
 * While a vCPU runs, what is in its list registers is theirs (`held`): gic_fill() before an entry, gic_fold() behind it.
 */
#ifndef RVMM_GIC_H
#define RVMM_GIC_H

#include <stdbool.h>
#include <stdint.h>

#include "gic_state.h"

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

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The registers of a GIC (gic.h) that a guest sees in its memory. */
#ifndef RVMM_GIC_MMIO_H
#define RVMM_GIC_MMIO_H

#include "gic_state.h"

/*
 * An access to a frame by vCPU `cpu`: `bytes` is 1, 2, 4 or 8. False: no GIC there. Reads fill *value; *wake gets the
 * vCPUs that now have something to take.
 */
bool gic_access(struct gic *gic, uint64_t address, unsigned int bytes, bool write, uint64_t *value, uint32_t *wake);

#endif

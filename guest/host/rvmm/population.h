/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canonical order in which a guest is made. A realm's initial measurement (RIM; RMM specification 1.0, A7.1) is a
 * chain over these steps, so whoever predicts it walks the same list:
 *
 *     1. INIT_RIPAS of all RAM, [RAM_BASE, RAM_BASE + size), in one call
 *     2. measured DATA, page by page, ascending IPA: kernel Image, initrd, device tree, each padded with zeros to 4 KiB
 *     3. RECs 0, 1, ...: MPIDR.Aff0 is the index; REC 0 is runnable with pc = kernel entry and x0 = the tree's IPA (all
 *        else 0); the others are not runnable, hence not measured, and all zero
 *     4. ACTIVATE
 *
 * The normal VM is made by the same walk; INIT_RIPAS and ACTIVATE mean nothing to it.
 */
#ifndef RVMM_POPULATION_H
#define RVMM_POPULATION_H

#include "layout.h"

/* What goes into memory; each is readable up to the next multiple of 4 KiB and zero there. */
struct population {
	const struct layout *layout;
	const void *kernel;
	const void *initrd;
	const void *dtb;
	uint64_t dtb_bytes;
};

/* The steps; each returns 0, or what population_walk() shall return. Sizes are multiples of 4 KiB. */
struct population_steps {
	int (*init_ripas)(void *context, uint64_t base, uint64_t top);
	int (*data)(void *context, uint64_t ipa, const void *bytes, uint64_t size);
	int (*rec)(void *context, unsigned int index, bool runnable, uint64_t pc, uint64_t x0);
	int (*activate)(void *context);
};

int population_walk(const struct population *population, const struct population_steps *steps, void *context);

/* Its two halves, for whoever looks at the clock in between: steps 1 and 2, steps 3 and 4. */
int population_content(const struct population *population, const struct population_steps *steps, void *context);
int population_start(const struct population *population, const struct population_steps *steps, void *context);

#endif

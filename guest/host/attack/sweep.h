/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over all physical memory: which pages can be read, and what is in them. */
#ifndef SWEEP_H
#define SWEEP_H

#include "needles.h"
#include "ram.h"

struct sweep {
	const struct needles *needles; /* NULL: pages are only classified */
	struct found *found;
	uint64_t zero;
	uint64_t faulted;
};

/* Classify every page of `ram`, and look into those that can be read. */
void sweep_ram(struct sweep *sweep, struct ram *ram);

#endif

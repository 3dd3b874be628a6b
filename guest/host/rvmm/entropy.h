/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes: the host's, or, for runs that are to be repeated, a stream that follows from a number. */
#ifndef RVMM_ENTROPY_H
#define RVMM_ENTROPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entropy {
	bool seeded;
	uint64_t state;
};

/* Fill `bytes`; -1 with failure(): the host has none. A seeded stream takes a new word (8 bytes) for each call. */
int entropy_fill(struct entropy *entropy, void *bytes, size_t count);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the ticks of a kernel are, seen from the machine's counter, which host and guests read alike. Linux puts them at
 * multiples of their period of CLOCK_MONOTONIC: what counter and clock differ by says where they are.
 */
#ifndef TICK_H
#define TICK_H

#include <stdint.h>

/* The counter (CNTVCT_EL0) less CLOCK_MONOTONIC, ns. */
int64_t tick_offset(void);

/*
 * Move this kernel's ticks until they lie half a `period` from those of a kernel with the offset `other`, modulo that
 * period: its clock runs up to 10 % faster or slower meanwhile, for less than a second. ns. 0, or -1 with errno (ETIME:
 * the clock does not follow).
 */
int tick_apart(int64_t other, int64_t period);

/* By how much (ns, from -period/2 to period/2) a clock with the offset `mine` is behind where tick_apart() wants it. */
static inline int64_t tick_error(int64_t mine, int64_t other, int64_t period)
{
	int64_t error = (mine - other) % period;

	if (error < 0)
		error += period;
	return error - period / 2;
}

#endif

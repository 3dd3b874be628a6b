/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's clock: CLOCK_MONOTONIC, in which the kernel also places its ticks. */
#ifndef RUNNER_CLOCK_H
#define RUNNER_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

/* ns; read in user space (vDSO). */
static inline uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Sleep until the clock next shows a multiple of `us`. */
static inline void clock_align(uint32_t us)
{
	const uint64_t unit = (uint64_t)us * 1000;
	const uint64_t until = (clock_ns() / unit + 1) * unit;
	const struct timespec target = { .tv_sec = (time_t)(until / NS_PER_S), .tv_nsec = (long)(until % NS_PER_S) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &target, NULL))
		;
}

#endif

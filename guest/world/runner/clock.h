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

/*
 * When the clock, which shows `now`, will be `phase_us` behind a multiple of `us`, and not before `us` are over: whatever
 * the start signal has set in motion is done by then. `phase_us` is less than `us`. ns
 */
static inline uint64_t clock_next(uint64_t now, uint32_t us, uint32_t phase_us)
{
	const uint64_t unit = (uint64_t)us * 1000;
	const uint64_t phase = (uint64_t)phase_us * 1000;

	return ((now + unit - phase) / unit + 1) * unit + phase;
}

/* Sleep until then. */
static inline void clock_align(uint32_t us, uint32_t phase_us)
{
	const uint64_t until = clock_next(clock_ns(), us, phase_us);
	const struct timespec target = { .tv_sec = (time_t)(until / NS_PER_S), .tv_nsec = (long)(until % NS_PER_S) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &target, NULL))
		;
}

#endif

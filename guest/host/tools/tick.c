/* SPDX-License-Identifier: Apache-2.0 */
#include "tick.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/timex.h>
#include <time.h>

#define NS_PER_S  1000000000
#define TRIES     64            /* looks at both clocks, of which the closest counts */
#define STEP_NS   10000000      /* between two corrections */
#define STEPS     100
#define NEAR_NS   5000
#define STILL     4             /* steps at the kernel's own pace that must all end near */

/* struct timex: µs of a hundredth of a second by the kernel's clock; how far it may be from that. */
#define PACE      10000
#define PACE_MOST 1000

static uint64_t counter(void)
{
	uint64_t now;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(now)::"memory");
	return now;
}

static int64_t counter_ns(uint64_t value)
{
	uint64_t hz;

	__asm__("mrs %0, cntfrq_el0" : "=r"(hz));
	return (int64_t)((unsigned __int128)value * NS_PER_S / hz);
}

static int64_t clock_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t tick_offset(void)
{
	uint64_t closest = UINT64_MAX;
	int64_t offset = 0;

	for (int i = 0; i < TRIES; i++) {
		const uint64_t before = counter();
		const int64_t clock = clock_now();
		const uint64_t between = counter() - before;

		if (between < closest) {
			closest = between;
			offset = counter_ns(before + between / 2) - clock;
		}
	}
	return offset;
}

/* Busy, not asleep: a kernel without ticks does not look at its clock's pace. */
static void pass(int64_t ns)
{
	const int64_t end = counter_ns(counter()) + ns;

	while (counter_ns(counter()) < end)
		;
}

static bool set_pace(int64_t pace)
{
	struct timex change = { .modes = ADJ_TICK, .tick = (long)pace };

	return adjtimex(&change) >= 0;
}

/* A third of the error in a step: the pace changes at the next tick only, and a larger part would overshoot. */
static int64_t pace_for(int64_t error)
{
	const int64_t wanted = error * PACE / STEP_NS / 3;

	if (wanted > PACE_MOST)
		return PACE + PACE_MOST;
	return wanted < -PACE_MOST ? PACE - PACE_MOST : PACE + wanted;
}

int tick_apart(int64_t other, int64_t period)
{
	int still = 0;

	for (int step = 0; step < STEPS; step++) {
		const int64_t error = tick_error(tick_offset(), other, period);
		const bool near = error > -NEAR_NS && error < NEAR_NS;

		still = near ? still + 1 : 0;
		if (!set_pace(near ? PACE : pace_for(error)))
			return -1;
		if (still == STILL)
			return 0;
		pass(STEP_NS);
	}
	(void)set_pace(PACE);
	errno = ETIME;
	return -1;
}

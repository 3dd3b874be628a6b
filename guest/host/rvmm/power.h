/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a realm's vCPU may be entered, as far as its host can know; pure, callers serialise. The RMM alone decides what
 * a CPU_ON does and tells its caller, not us: one that came too early, and was answered with "already on", looks like one
 * that came in time. A start is therefore a try, which the RMM may refuse.
 */
#ifndef RVMM_POWER_H
#define RVMM_POWER_H

#include <stdbool.h>

struct power {
	bool off;    /* not to be entered */
	bool start;  /* CPU_ON was called for it since it was looked at last */
	bool trying; /* it is entered because of `start`, and was not seen to run yet */
};

/* May it be entered? A start for a vCPU that is on is void. */
static inline bool power_check(struct power *power)
{
	power->trying = power->trying || (power->off && power->start);
	power->off = power->off && !power->start;
	power->start = false;
	return !power->off;
}

/* It ran. */
static inline void power_ran(struct power *power)
{
	power->trying = false;
}

/* The RMM says that it cannot be entered as it is. True: it is off after all, and waits for the next start. */
static inline bool power_refused(struct power *power)
{
	power->off = power->trying;
	power->trying = false;
	return power->off;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The architected timers of a realm, from what an exit tells of them (RMM specification 1.0, A6.2). */
#ifndef RVMM_TIMER_H
#define RVMM_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct timer {
	uint64_t ctl;   /* CNTx_CTL_EL0: ENABLE, IMASK, ISTATUS */
	uint64_t cval;  /* CNTx_CVAL_EL0 */
};

/* One that goes off when the counter is at `cval`. */
static inline struct timer timer_at(uint64_t cval)
{
	return (struct timer){ .ctl = 1, .cval = cval };
}

/* Longest wait: a timer that is further away is looked at again then. ns */
#define TIMER_NEVER UINT64_C(3600000000000)

/* Is its output high at counter value `now`? (ISTATUS is as of the exit; a timer may have expired since.) */
bool timer_asserted(const struct timer *timer, uint64_t now);

/* Time until its output rises, ns; TIMER_NEVER at most, also if it never does. `hz`: the counter's frequency. */
uint64_t timer_delay(const struct timer *timer, uint64_t now, uint64_t hz);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "timer.h"

#define CTL_ENABLE  UINT64_C(1)
#define CTL_IMASK   UINT64_C(2)
#define CTL_ISTATUS UINT64_C(4)

#define NS_PER_S UINT64_C(1000000000)

static bool armed(const struct timer *timer)
{
	return (timer->ctl & (CTL_ENABLE | CTL_IMASK)) == CTL_ENABLE;
}

bool timer_asserted(const struct timer *timer, uint64_t now)
{
	return armed(timer) && ((timer->ctl & CTL_ISTATUS) != 0 || now >= timer->cval);
}

uint64_t timer_delay(const struct timer *timer, uint64_t now, uint64_t hz)
{
	uint64_t ticks, seconds;

	if (timer_asserted(timer, now))
		return 0;
	if (!armed(timer) || hz == 0)
		return TIMER_NEVER;
	ticks = timer->cval - now;
	seconds = ticks / hz;
	if (seconds >= TIMER_NEVER / NS_PER_S)
		return TIMER_NEVER;
	/* Rounded up: never awake before it fires. A remainder below hz (< 2^33) does not overflow. */
	return seconds * NS_PER_S + (ticks % hz * NS_PER_S + hz - 1) / hz;
}

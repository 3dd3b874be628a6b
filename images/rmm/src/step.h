/* SPDX-License-Identifier: Apache-2.0 */
/* One stay of a REC on a CPU, from REC_ENTER to the exit that the host sees, and what the handlers of its traps share. */
#ifndef RMM_STEP_H
#define RMM_STEP_H

#include "rec.h"
#include "rmi_pages.h"

struct run {
	struct rec *rec;
	const struct rec_enter *enter;
	struct rec_exit *exit;
};

/* What a handler of a trap decides. */
enum step {
	STEP_RESUME,
	STEP_LEAVE,
};

/* The call is over: x0 is its result and the realm goes on behind the SMC. */
static inline enum step run_smc_done(struct rec *rec, uint64_t result)
{
	rec->gprs[0] = result;
	rec->pc += 4;
	return STEP_RESUME;
}

/* General register `number` as an instruction names it: 31 is the zero register. */
static inline uint64_t rec_register(const struct rec *rec, unsigned int number)
{
	return number < REC_GPRS ? rec->gprs[number] : 0;
}

static inline void rec_set_register(struct rec *rec, unsigned int number, uint64_t value)
{
	if (number < REC_GPRS)
		rec->gprs[number] = value;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* One stay of a REC on a CPU: from REC_ENTER to the exit that the host sees. */
#ifndef RMM_RUN_H
#define RMM_RUN_H

#include "rec.h"
#include "rmi.h"

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

/* RMI_REC_ENTER and RMI_PSCI_COMPLETE (B4.3). */
uint64_t rmi_rec_enter(const uint64_t *in, uint64_t *out);
uint64_t rmi_psci_complete(const uint64_t *in, uint64_t *out);

/* run_abort.c: stage 2 faults, emulated MMIO, aborts that the RMM raises for the realm. */
enum step run_abort(struct run *run);
void run_finish_mmio(struct run *run);
void run_inject_external_abort(struct rec *rec, bool instruction);
/* End the run as a data abort at `ipa` would, where a walk reached `level`. */
enum step run_leave_absent(struct run *run, uint64_t ipa, unsigned int level);

/* run_sysreg.c: trapped system registers. */
enum step run_sysreg(struct run *run);

/* rsi.c, psci.c: SMC from the realm. */
enum step run_smc(struct run *run);
enum step run_psci(struct run *run);
/* Finish what the last exit left to do; STEP_LEAVE if it cannot be finished yet. */
enum step run_finish_host_call(struct run *run);
void run_finish_ripas(struct run *run);

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

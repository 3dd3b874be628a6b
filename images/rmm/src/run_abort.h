/* SPDX-License-Identifier: Apache-2.0 */
/* Stage 2 faults, emulated MMIO, aborts that the RMM raises for the realm. */
#ifndef RMM_RUN_ABORT_H
#define RMM_RUN_ABORT_H

#include "step.h"

/* A stage 2 fault. */
enum step run_abort(struct run *run);
/* Give the realm the host's answer to an access that it emulated. */
void run_finish_mmio(struct run *run);
void run_inject_external_abort(struct rec *rec, bool instruction);
/* End the run as a data abort at `ipa` would, where a walk reached `level`. */
enum step run_leave_absent(struct run *run, uint64_t ipa, unsigned int level);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* SMC from the realm: RSI commands, and PSCI behind them. */
#ifndef RMM_RSI_H
#define RMM_RSI_H

#include "step.h"

enum step run_smc(struct run *run);
/* Finish what the last exit left to do; STEP_LEAVE if it cannot be finished yet. */
enum step run_finish_host_call(struct run *run);
void run_finish_ripas(struct run *run);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A REC on the CPU: its traps until one of them ends the stay. */
#ifndef RMM_RUN_H
#define RMM_RUN_H

#include "step.h"

/* Load the REC, finish what its last exit left to the host's answer in `enter`, execute it until it leaves, save it. `exit`
 * has the fields of the reason for leaving. */
void run_until_exit(struct run *run);

#endif

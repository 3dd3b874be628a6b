/* SPDX-License-Identifier: Apache-2.0 */
/* System registers that trap. */
#ifndef RMM_RUN_SYSREG_H
#define RMM_RUN_SYSREG_H

#include "step.h"

enum step run_sysreg(struct run *run);

#endif

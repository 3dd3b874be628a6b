/* SPDX-License-Identifier: Apache-2.0 */
/* A realm's own translation (stage 1; Arm ARM, D8), as far as the RMM has to follow it. */
#ifndef RMM_STAGE1_H
#define RMM_STAGE1_H

#include "rec.h"

/* Fault status of an access to `va` whose way leads outside of the realm's IPA space: Address Size Fault at the level of the
 * descriptor that leads there, and at level 0 without stage 1 (A5.2.8). The REC is loaded. */
uint64_t stage1_outside_status(const struct rec *rec, uint64_t va);

#endif

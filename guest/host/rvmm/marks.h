/* SPDX-License-Identifier: Apache-2.0 */
/* Instruction markers of the VMM: the same ones at the same places in both worlds (guest/abi/orch_marker.h). */
#ifndef RVMM_MARKS_H
#define RVMM_MARKS_H

#include "orch_marker.h"

#ifdef __aarch64__
#define MARK_BEGIN(event, id) ORCH_MARK_BEGIN(event, id)
#define MARK_END(event, id)   ORCH_MARK_END(event, id)
#else
#define MARK_BEGIN(event, id) ((void)(id))
#define MARK_END(event, id)   ((void)(id))
#endif

#endif

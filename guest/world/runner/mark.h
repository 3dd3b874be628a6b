/* SPDX-License-Identifier: Apache-2.0 */
/* Markers where there is a counter for them; the build computer goes without. */
#ifndef RUNNER_MARK_H
#define RUNNER_MARK_H

#include "../../abi/orch_marker.h"

#ifndef __aarch64__
#define ORCH_MARK_BEGIN(event, id) ((void)(event), (void)(id))
#define ORCH_MARK_END(event, id)   ((void)(event), (void)(id))
#endif

#endif

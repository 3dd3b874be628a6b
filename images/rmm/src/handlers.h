/* SPDX-License-Identifier: Apache-2.0 */
/* The way from a host's registers to an RMI command and back. */
#ifndef RMM_HANDLERS_H
#define RMM_HANDLERS_H

#include "types.h"

/* Handle one request: the caller's x0..x7 in, its x0..x4 out. */
void rmi_handle(const uint64_t *request, uint64_t *answer);

#endif

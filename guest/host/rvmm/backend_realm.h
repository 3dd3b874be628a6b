/* SPDX-License-Identifier: Apache-2.0 */
/* A realm, through /dev/realm. */
#ifndef RVMM_BACKEND_REALM_H
#define RVMM_BACKEND_REALM_H

#include "backend.h"

extern const struct backend backend_realm;

#endif

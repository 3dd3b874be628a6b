/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a realm is made with, beside its content: what the driver is given (backend_realm.c) and what a description of the
 * measurement says (describe.c) come from here. All of it is fixed: a measurement follows from a guest's options and
 * files alone, not from the machine that makes the realm.
 */
#ifndef RVMM_REALM_PARAMS_H
#define RVMM_REALM_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"
#include "realm_ioctl.h"
#include "rmi_rules.h"

/* Bytes of RAM that one entry of the first tables stands for: INIT_RIPAS measures once for each (RMM specification 1.0,
 * B4.3), since it comes before all that needs further tables. */
#define RIPAS_ENTRY_BYTES ((uint64_t)RTT_ENTRY_SIZE(REALM_RTT_LEVEL(IPA_BITS)))
_Static_assert(RIPAS_ENTRY_BYTES == 2 * MIB, "a guest's memory is made of whole entries: layout_place()");

/* Argument of REALM_CREATE. */
struct realm_create realm_params(void);

/* Argument of REALM_REC_CREATE; x1 and up are 0. */
struct realm_rec_create realm_params_rec(unsigned int index, bool runnable, uint64_t pc, uint64_t x0);

/* Flags of every REALM_DATA. */
#define REALM_PARAMS_DATA_FLAGS REALM_DATA_MEASURE

/* Does an RMM with this feature register 0 make such realms? -1 with failure() if not. */
int realm_params_check(uint64_t features0);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages of the VMM that a realm sees in the Unprotected half of its addresses. */
#ifndef SHARED_H
#define SHARED_H

#include "state.h"

int shared_add(struct realm *realm, struct realm_share *share);
int shared_remove(struct realm *realm, struct realm_range *range);

/* All of them; one that the RMM does not give up stays pinned. */
void shared_release(struct realm *realm);

#endif

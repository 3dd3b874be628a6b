/* SPDX-License-Identifier: GPL-2.0-only */
/* From a realm's first granule to its last, and what happens to all of them when the host goes down. */
#ifndef LIFE_H
#define LIFE_H

#include "state.h"

/* One for an open file, not created yet; NULL: no memory. */
struct realm *life_begin(void);

/* Its file is gone, and so goes everything that the RMM has of it. Nobody can be inside REC_ENTER, which holds the file. */
void life_end(struct realm *realm);

/* REALM_CREATE; under the lock. */
int life_create(struct realm *realm, const struct realm_create *create);

void life_init(void);

/* There is no realm any more. */
void life_exit(void);

#endif

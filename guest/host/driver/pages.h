/* SPDX-License-Identifier: GPL-2.0-only */
/* A realm's own pages, and what the RMM says of its addresses (RIPAS). */
#ifndef PAGES_H
#define PAGES_H

#include "state.h"

int pages_init_ripas(struct realm *realm, struct realm_range *range);
int pages_data(struct realm *realm, struct realm_data *data);
int pages_populate(struct realm *realm, struct realm_range *range);
int pages_set_ripas(struct realm *realm, struct realm_ripas *ripas);

/* Take all pages in [base, top) out of the realm. */
void pages_destroy(struct realm *realm, u64 base, u64 top);

#endif

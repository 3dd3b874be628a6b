/* SPDX-License-Identifier: GPL-2.0-only */
/* What maps a realm's pages: its address space, and the tables below the root. */
#ifndef TABLES_H
#define TABLES_H

#include "state.h"

/* Where the Protected half of the address space ends. */
u64 protected_end(const struct realm *realm);

/* Whether [base, top) is made of pages and lies within [low, high). */
bool valid_range(u64 base, u64 top, u64 low, u64 high);

/* Add the table below the entry where a walk for `ipa` stopped with `status`. */
int tables_add(struct realm *realm, u64 ipa, u64 status);

/* A granule that the RMM has named: nothing of the realm's is there any more. */
void taken_out(struct realm *realm, phys_addr_t granule);

/* Give back all tables below the root; nothing is mapped any more. */
void tables_destroy(struct realm *realm);

#endif

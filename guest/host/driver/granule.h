/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages that belong to the Realm world. All return or take physical addresses; 0 is "no memory". */
#ifndef GRANULE_H
#define GRANULE_H

#include <linux/types.h>

struct dentry;

phys_addr_t granule_alloc(void);

/* `count` granules, aligned to their total size: concatenated root tables. */
phys_addr_t granule_alloc_contiguous(unsigned int count);

void granule_free(phys_addr_t granule);

/* Granules that a realm has kept: they stay delegated. */
void granules_lost(unsigned long count);

unsigned int granules_delegated(void);

/* `granules`, `leaked`, and `pages`: where each is. */
void granule_debugfs(struct dentry *folder);

void granule_exit(void);

#endif

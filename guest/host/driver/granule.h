/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages that belong to the Realm world. All return or take physical addresses; 0 is "no memory". */
#ifndef GRANULE_H
#define GRANULE_H

#include <linux/gfp.h>
#include <linux/types.h>

struct dentry;
struct page;

/*
 * EL3 tracks granules below 4 GiB only (the L0 table's blocks above are for all worlds). An allocation may fail rather than
 * wake the OOM killer: that looks at what processes have mapped, so it would take everyone else before the VMM whose realm
 * has the memory.
 */
#define GRANULE_GFP (GFP_KERNEL_ACCOUNT | __GFP_DMA32 | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

phys_addr_t granule_alloc(void);

/* `count` granules, aligned to their total size: concatenated root tables. */
phys_addr_t granule_alloc_contiguous(unsigned int count);

/* Undelegate and free. A block (blocks.h) of which only some pages are freed is split. */
void granule_free(phys_addr_t granule);

/* The same at the end of a realm, where the other pages of a block follow. */
void granule_put(phys_addr_t granule);

/* What is left of these blocks then, a bit each: pages that did not come back stay lost, the others are freed. */
void granule_end_blocks(unsigned long *blocks);

/* For stock.c: delegate a page, false if the RMM does not take it; keep such a one out of circulation so that the next
 * allocation is another, false if there are too many; is there memory beyond what the host needs? */
bool granule_delegate(struct page *page);
bool granule_keep_aside(struct page *page);
bool granule_host_has_room(void);

/* Granules that a realm has kept: they stay delegated. */
void granules_lost(unsigned long count);

unsigned int granules_delegated(void);

/* `granules`, `leaked`, and `pages`: where each is. */
void granule_debugfs(struct dentry *folder);

void granule_exit(void);

#endif

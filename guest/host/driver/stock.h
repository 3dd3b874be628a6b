/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages for a call that needs many: allocated together, delegated one by one. */
#ifndef STOCK_H
#define STOCK_H

#include <linux/types.h>

#define STOCK_SINGLES 32

struct page;

struct stock {
	struct page *next;             /* `left` pages of a block from here on */
	unsigned int left;
	unsigned int singles;
	struct page *single[STOCK_SINGLES];
};

/* A granule; 0 is "no memory". The caller may need `wanted` of them, this one included. Blocks that are taken for that are
 * noted in `blocks`, a bit each. */
phys_addr_t stock_take(struct stock *stock, unsigned long wanted, unsigned long *blocks);

/* Free what is left. */
void stock_end(struct stock *stock);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Blocks of 2 MiB: 512 pages that are allocated as one and freed as one, when the last of them is back. All pages of a
 * block are one realm's, whose lock covers it. A block that is split is no block any more: each of its pages is its own.
 */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <linux/sizes.h>
#include <linux/types.h>

#define BLOCK_ORDER (21 - PAGE_SHIFT)
#define BLOCK_PAGES (1U << BLOCK_ORDER)
#define BLOCKS      (SZ_4G >> 21)

struct page;

/* The first page of a fresh block, below 4 GiB; NULL if there is none to be had easily. */
struct page *block_alloc(gfp_t gfp);

/* Below BLOCKS. */
unsigned int block_number(const struct page *page);
struct page *block_first(unsigned int number);

/* Is a page part of a block? */
bool block_has(const struct page *page);

/* The page is not needed any more; the last one frees the block. */
void block_put(struct page *page);

void block_split(struct page *page);

#endif

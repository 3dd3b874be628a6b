// SPDX-License-Identifier: GPL-2.0-only
#include <linux/gfp.h>
#include <linux/mm.h>

#include "blocks.h"

/* Pages that are not back yet, of each block by its number; 0: there is no block here. */
static u16 out[BLOCKS];

unsigned int block_number(const struct page *page)
{
	return page_to_phys(page) >> 21;
}

struct page *block_first(unsigned int number)
{
	return phys_to_page((phys_addr_t)number << 21);
}

struct page *block_alloc(gfp_t gfp)
{
	struct page *block = alloc_pages((gfp & ~__GFP_RETRY_MAYFAIL) | __GFP_NORETRY, BLOCK_ORDER);

	if (block)
		out[block_number(block)] = BLOCK_PAGES;
	return block;
}

bool block_has(const struct page *page)
{
	return out[block_number(page)] != 0;
}

void block_put(struct page *page)
{
	unsigned int number = block_number(page);

	if (--out[number] == 0)
		__free_pages(block_first(number), BLOCK_ORDER);
}

void block_split(struct page *page)
{
	unsigned int number = block_number(page);

	out[number] = 0;
	split_page(block_first(number), BLOCK_ORDER);
}

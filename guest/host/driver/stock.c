// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bitops.h>
#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/mm.h>

#include "blocks.h"
#include "granule.h"
#include "stock.h"

static bool fill(struct stock *stock, unsigned long wanted, unsigned long *blocks)
{
	if (!granule_host_has_room())
		return false;
	if (wanted >= BLOCK_PAGES) {
		stock->next = block_alloc(GRANULE_GFP);
		if (stock->next) {
			stock->left = BLOCK_PAGES;
			__set_bit(block_number(stock->next), blocks);
			return true;
		}
	}
	memset(stock->single, 0, sizeof(stock->single));
	stock->singles = alloc_pages_bulk(GRANULE_GFP, min(wanted, STOCK_SINGLES), stock->single);
	return stock->singles != 0;
}

static struct page *take_page(struct stock *stock)
{
	if (!stock->left)
		return stock->single[--stock->singles];
	stock->left--;
	return stock->next++;
}

phys_addr_t stock_take(struct stock *stock, unsigned long wanted, unsigned long *blocks)
{
	struct page *page;

	do {
		if (!stock->left && !stock->singles && !fill(stock, wanted, blocks))
			return 0;
		page = take_page(stock);
		if (granule_delegate(page))
			return page_to_phys(page);
	} while (granule_keep_aside(page));
	return 0;
}

void stock_end(struct stock *stock)
{
	while (stock->singles)
		__free_page(stock->single[--stock->singles]);
	if (stock->left && block_has(stock->next))
		block_split(stock->next);
	for (; stock->left; stock->left--)
		__free_page(stock->next++);
}

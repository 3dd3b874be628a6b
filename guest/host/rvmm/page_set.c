/* SPDX-License-Identifier: Apache-2.0 */
#include "page_set.h"

#include <stdlib.h>

#include "layout.h"

#define WORD_BITS 64U

int page_set_init(struct page_set *set, uint64_t ram_bytes)
{
	set->pages = ram_bytes / PAGE_BYTES;
	set->words = calloc(set->pages / WORD_BITS + 1, sizeof(set->words[0]));
	return set->words == NULL ? -1 : 0;
}

void page_set_free(struct page_set *set)
{
	free(set->words);
	*set = (struct page_set){ .pages = 0 };
}

/* Number of the page with this address; those behind the RAM: one past the last. */
static uint64_t number(const struct page_set *set, uint64_t ipa)
{
	uint64_t page = ipa < RAM_BASE ? 0 : (ipa - RAM_BASE) / PAGE_BYTES;

	return page < set->pages ? page : set->pages;
}

static bool has(const struct page_set *set, uint64_t page)
{
	return (set->words[page / WORD_BITS] >> (page % WORD_BITS) & 1) != 0;
}

void page_set_change(struct page_set *set, uint64_t base, uint64_t top, bool in)
{
	uint64_t page = number(set, base), end = number(set, top), count, mask, *word;

	for (; page < end; page += count) {
		word = &set->words[page / WORD_BITS];
		count = WORD_BITS - page % WORD_BITS;
		count = count < end - page ? count : end - page;
		mask = (UINT64_MAX >> (WORD_BITS - count)) << (page % WORD_BITS);
		*word = in ? *word | mask : *word & ~mask;
	}
}

bool page_set_has(const struct page_set *set, uint64_t base, uint64_t size)
{
	uint64_t page, end;

	if (!within(base, size, RAM_BASE, set->pages * PAGE_BYTES))
		return false;
	end = number(set, page_align(base + size));
	for (page = number(set, base); page < end; page++)
		if (!has(set, page))
			return false;
	return true;
}

bool page_set_run(const struct page_set *set, uint64_t ipa, bool in, uint64_t block, uint64_t *base, uint64_t *top)
{
	uint64_t page = number(set, ipa), low = number(set, ipa & ~(block - 1)), high = number(set, (ipa | (block - 1)) + 1);
	uint64_t end = page;

	if (ipa < RAM_BASE || page == set->pages || has(set, page) != in)
		return false;
	while (page > low && has(set, page - 1) == in)
		page--;
	while (end < high && has(set, end) == in)
		end++;
	*base = RAM_BASE + page * PAGE_BYTES;
	*top = RAM_BASE + end * PAGE_BYTES;
	return true;
}

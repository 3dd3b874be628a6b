/* SPDX-License-Identifier: Apache-2.0 */
/* The host's pages, and which of them it has delegated. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define POOL_BASE  UINT64_C(0x70000000)
#define POOL_PAGES 8192U

/* What a page holds when it is delegated, so that a missing wipe shows. */
#define JUNK UINT64_C(0xa5a5a5a55a5a5a5a)

/* A zeroed page of the normal world. */
uint64_t page_normal(void);
/* `count` pages in a row, delegated, aligned to `alignment` pages; 0 if the RMM refused one. */
uint64_t pages_delegated(uint64_t count, uint64_t alignment);
uint64_t page_delegated(void);
/* Give a page back: undelegated, if it was delegated, and zero. False if the RMM did not return it so. */
bool page_release(uint64_t pa);
bool page_is_zero(uint64_t pa);
void page_fill(uint64_t pa, uint64_t value);
/* Value number n is `value` + n. */
void page_number(uint64_t pa, uint64_t value);
/* How many pages are still delegated; `first` is one of them. */
uint64_t pages_outstanding(uint64_t *first);
/* How many pages came back with something in them. */
uint64_t pages_spoiled(void);

static inline uint64_t *page_words(uint64_t pa)
{
	return (uint64_t *)pa;
}

#endif

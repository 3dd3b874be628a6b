/* SPDX-License-Identifier: Apache-2.0 */
/* A set of pages of the guest's RAM, a bit each; pure, callers serialise. Addresses are IPAs without the shared bit. */
#ifndef RVMM_PAGE_SET_H
#define RVMM_PAGE_SET_H

#include <stdbool.h>
#include <stdint.h>

struct page_set {
	uint64_t pages;  /* of the RAM */
	uint64_t *words;
};

/* An empty set for RAM of this size; -1: no memory. */
int page_set_init(struct page_set *set, uint64_t ram_bytes);
void page_set_free(struct page_set *set);

/* Put the pages of [base, top) in, or take them out; those that are no RAM are passed over. */
void page_set_change(struct page_set *set, uint64_t base, uint64_t top, bool in);

/* Are all pages that [base, base + size) touches RAM and in the set? */
bool page_set_has(const struct page_set *set, uint64_t base, uint64_t size);

/*
 * The longest run of pages around `ipa` that are all in the set, or all out of it, and within one block of `block` bytes.
 * False: the page itself is not so, or no RAM.
 */
bool page_set_run(const struct page_set *set, uint64_t ipa, bool in, uint64_t block, uint64_t *base, uint64_t *top);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include "abi.h"
#include "console.h"
#include "rmi.h"

enum use { FREE, NORMAL, DELEGATED };
static uint8_t uses[POOL_PAGES];
static uint64_t spoiled;

#define WORDS (PAGE / sizeof(uint64_t))

static uint64_t address(uint64_t number)
{
	return POOL_BASE + number * PAGE;
}

static uint64_t take(uint64_t count, uint64_t alignment, enum use use)
{
	uint64_t at, i;

	for (at = 0; at + count <= POOL_PAGES; at += alignment) {
		for (i = 0; i < count && uses[at + i] == FREE; i++)
			;
		if (i != count)
			continue;
		for (i = 0; i < count; i++)
			uses[at + i] = (uint8_t)use;
		return address(at);
	}
	bail_out("the pool of pages is used up");
}

void page_fill(uint64_t pa, uint64_t value)
{
	uint64_t i;

	for (i = 0; i < WORDS; i++)
		page_words(pa)[i] = value;
}

void page_number(uint64_t pa, uint64_t value)
{
	uint64_t i;

	for (i = 0; i < WORDS; i++)
		page_words(pa)[i] = value + i;
}

bool page_is_zero(uint64_t pa)
{
	uint64_t i;

	for (i = 0; i < WORDS && page_words(pa)[i] == 0; i++)
		;
	return i == WORDS;
}

uint64_t page_normal(void)
{
	uint64_t pa = take(1, 1, NORMAL);

	page_fill(pa, 0);
	return pa;
}

uint64_t pages_delegated(uint64_t count, uint64_t alignment)
{
	uint64_t pa = take(count, alignment, DELEGATED), i;

	for (i = 0; i < count; i++) {
		page_fill(pa + i * PAGE, JUNK);
		if (rmi(RMI_GRANULE_DELEGATE, pa + i * PAGE).status != RMI_SUCCESS)
			return 0;
	}
	return pa;
}

uint64_t page_delegated(void)
{
	return pages_delegated(1, 1);
}

bool page_release(uint64_t pa)
{
	uint64_t number = (pa - POOL_BASE) / PAGE;
	bool good = true;

	if (pa < POOL_BASE || number >= POOL_PAGES || uses[number] == FREE)
		return false;
	if (uses[number] == DELEGATED) {
		if (rmi(RMI_GRANULE_UNDELEGATE, pa).status != RMI_SUCCESS)
			return false;
		good = page_is_zero(pa);
		spoiled += good ? 0 : 1;
	}
	uses[number] = FREE;
	return good;
}

uint64_t pages_outstanding(uint64_t *first)
{
	uint64_t i, count = 0;

	for (i = 0; i < POOL_PAGES; i++) {
		if (uses[i] != DELEGATED)
			continue;
		if (count++ == 0)
			*first = address(i);
	}
	return count;
}

uint64_t pages_spoiled(void)
{
	return spoiled;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "heap.h"

void *memset(void *to, int value, size_t bytes);

struct heap *(*heap_this)(void);

/* A free bit of `used`, taken; `count` if there is none. */
static unsigned int take(uint64_t *used, unsigned int count)
{
	unsigned int bit = ~*used == 0 ? count : (unsigned int)__builtin_ctzll(~*used);

	if (bit < count)
		*used |= BIT(bit);
	return bit;
}

void *heap_calloc(size_t count, size_t bytes)
{
	struct heap *heap = heap_this();
	size_t all;
	unsigned int bit;

	if (__builtin_mul_overflow(count, bytes, &all) || all == 0 || all > HEAP_LARGE_BYTES)
		return NULL;
	if (all <= HEAP_SMALL_BYTES) {
		bit = take(&heap->small_used, HEAP_SMALL);
		return bit < HEAP_SMALL ? memset(heap->small[bit], 0, all) : NULL;
	}
	bit = take(&heap->large_used, HEAP_LARGE);
	return bit < HEAP_LARGE ? memset(heap->large[bit], 0, all) : NULL;
}

void heap_free(void *block)
{
	struct heap *heap = heap_this();
	size_t offset = (size_t)((uint8_t *)block - heap->small[0]);

	if (block == NULL)
		return;
	if (offset < sizeof(heap->small))
		heap->small_used &= ~BIT(offset / HEAP_SMALL_BYTES);
	else
		heap->large_used &= ~BIT((offset - sizeof(heap->small)) / HEAP_LARGE_BYTES);
}

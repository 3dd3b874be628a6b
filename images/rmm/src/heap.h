/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for the numbers of one signature: the cryptographic library asks for each by size and gives it back. */
#ifndef RMM_HEAP_H
#define RMM_HEAP_H

#include "types.h"

/* Two kinds of blocks: a number of P-384, or a product of two of them, is below 128 bytes; states of hashes are larger. */
#define HEAP_SMALL_BYTES 128U
#define HEAP_SMALL       32U
#define HEAP_LARGE_BYTES 256U
#define HEAP_LARGE       16U

/* Empty when it is zero. */
struct heap {
	uint64_t small_used, large_used; /* a bit a block */
	uint8_t small[HEAP_SMALL][HEAP_SMALL_BYTES] __attribute__((aligned(16)));
	uint8_t large[HEAP_LARGE][HEAP_LARGE_BYTES] __attribute__((aligned(16)));
};

/* Zeroed memory for `count` items from the running signature's heap; NULL if there is none left. */
void *heap_calloc(size_t count, size_t bytes);
void heap_free(void *block);

/* Finds the heap of whoever calls: set, before the first block is asked for, by who makes the stacks (signer_target.c). */
extern struct heap *(*heap_this)(void);

#endif

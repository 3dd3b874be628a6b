/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is looked for: blocks of a model, as digests. The attack runs in the memory that it searches, so it must not bring
 * the model along. Pure: no effect but memory of its own.
 *
 * File (orchestrator/privacy/blocks.py writes it), all little-endian: "ORCHNDL1", u64 count, then for each block u64 key and
 * u64 digest. key = first eight bytes * NEEDLE_KEY; digest as needle_digest(). Keys are distinct.
 */
#ifndef NEEDLES_H
#define NEEDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEEDLE_BYTES 64
#define NEEDLE_MAX   (1u << 20)
#define NEEDLE_KEY   UINT64_C(0x9e3779b97f4a7c15) /* odd: a bijection, whose upper bits depend on all bytes */
#define NEEDLE_MAGIC "ORCHNDL1"

struct needle {
	uint64_t key;
	uint64_t digest;
};

struct needles {
	const struct needle *list;
	size_t count;
	uint64_t *filter;       /* one bit for each value of a key's upper filter_bits bits */
	unsigned int filter_bits;
	uint32_t *slots;        /* hash table by a key's upper slot_bits bits: index + 1, 0 is empty */
	unsigned int slot_bits;
};

/* Blocks that were found, one bit each, and how many distinct ones. */
struct found {
	uint8_t *bits;
	size_t count;
};

/* Index the bytes of a needle file, which must outlive `needles`. False if it is none, or there is no memory. */
bool needles_index(struct needles *needles, const uint8_t *file, size_t bytes);
void needles_free(struct needles *needles);

bool found_init(struct found *found, size_t count);
void found_reset(struct found *found, size_t count);
void found_add(struct found *found, size_t index);
void found_free(struct found *found);

uint64_t needle_digest(const uint8_t block[NEEDLE_BYTES]);

/*
 * Look at `starts` byte offsets of `bytes`, of which `readable` may be read; a block that begins at one of them and ends
 * within what is readable is noted in `found`. Returns how many times some block was met.
 */
size_t needles_sweep(const struct needles *needles, const uint8_t *bytes, size_t starts, size_t readable,
		     struct found *found);

/* Are the bytes (a multiple of 64, aligned to 8) all zero? */
bool all_zero(const void *bytes, size_t count);

#endif

// SPDX-License-Identifier: Apache-2.0
/* Blocks by digest, at every byte offset of some memory. */
#include "needles.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 16
/* Filter bits a block: a random word of memory passes with a chance of 1 in 32, and is then looked up. */
#define FILTER_SHIFT 5
#define FILTER_MIN   16
#define DIGEST_PRIME UINT64_C(0xff51afd7ed558ccd)

_Static_assert(sizeof(struct needle) == 16, "as in the file");

static uint64_t load64(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

uint64_t needle_digest(const uint8_t block[NEEDLE_BYTES])
{
	uint64_t digest = 0;
	size_t i;

	for (i = 0; i < NEEDLE_BYTES; i += 8) {
		digest = (digest ^ load64(block + i)) * DIGEST_PRIME;
		digest ^= digest >> 29;
	}
	return digest;
}

static unsigned int bits_for(size_t count)
{
	unsigned int bits = 0;

	while (((size_t)1 << bits) < count)
		bits++;
	return bits;
}

static void insert(struct needles *needles, size_t index)
{
	uint64_t key = needles->list[index].key, bit = key >> (64 - needles->filter_bits);
	size_t mask = ((size_t)1 << needles->slot_bits) - 1, slot = key >> (64 - needles->slot_bits);

	needles->filter[bit / 64] |= UINT64_C(1) << bit % 64;
	while (needles->slots[slot] != 0)
		slot = (slot + 1) & mask;
	needles->slots[slot] = (uint32_t)index + 1;
}

bool needles_index(struct needles *needles, const uint8_t *file, size_t bytes)
{
	size_t i;

	memset(needles, 0, sizeof(*needles));
	if (bytes < HEADER_BYTES || memcmp(file, NEEDLE_MAGIC, 8) != 0)
		return false;
	needles->count = load64(file + 8);
	if (needles->count == 0 || needles->count > NEEDLE_MAX ||
	    bytes != HEADER_BYTES + needles->count * sizeof(struct needle))
		return false;
	needles->list = (const void *)(file + HEADER_BYTES);
	needles->slot_bits = bits_for(needles->count) + 2;
	needles->filter_bits = bits_for(needles->count) + FILTER_SHIFT;
	if (needles->filter_bits < FILTER_MIN)
		needles->filter_bits = FILTER_MIN;
	needles->filter = calloc((size_t)1 << (needles->filter_bits - 6), sizeof(uint64_t));
	needles->slots = calloc((size_t)1 << needles->slot_bits, sizeof(uint32_t));
	if (needles->filter == NULL || needles->slots == NULL) {
		needles_free(needles);
		return false;
	}
	for (i = 0; i < needles->count; i++)
		insert(needles, i);
	return true;
}

void needles_free(struct needles *needles)
{
	free(needles->filter);
	free(needles->slots);
	needles->filter = NULL;
	needles->slots = NULL;
}

bool found_init(struct found *found, size_t count)
{
	found->bits = calloc((count + 7) / 8, 1);
	found->count = 0;
	return found->bits != NULL;
}

void found_reset(struct found *found, size_t count)
{
	memset(found->bits, 0, (count + 7) / 8);
	found->count = 0;
}

void found_add(struct found *found, size_t index)
{
	uint8_t bit = (uint8_t)(1u << index % 8);

	if ((found->bits[index / 8] & bit) != 0)
		return;
	found->bits[index / 8] |= bit;
	found->count++;
}

void found_free(struct found *found)
{
	free(found->bits);
	found->bits = NULL;
}

/* The block with this key, if it is the one that begins here. */
static bool look_up(const struct needles *needles, uint64_t key, const uint8_t *bytes, size_t *index)
{
	size_t mask = ((size_t)1 << needles->slot_bits) - 1, slot = key >> (64 - needles->slot_bits);

	for (; needles->slots[slot] != 0; slot = (slot + 1) & mask) {
		*index = needles->slots[slot] - 1;
		if (needles->list[*index].key == key)
			return needles->list[*index].digest == needle_digest(bytes);
	}
	return false;
}

size_t needles_sweep(const struct needles *needles, const uint8_t *bytes, size_t starts, size_t readable,
		     struct found *found)
{
	const uint64_t *filter = needles->filter;
	unsigned int shift = 64 - needles->filter_bits;
	size_t i, index, met = 0;

	if (readable < NEEDLE_BYTES)
		return 0;
	if (starts > readable - NEEDLE_BYTES + 1)
		starts = readable - NEEDLE_BYTES + 1;
	for (i = 0; i < starts; i++) {
		uint64_t key = load64(bytes + i) * NEEDLE_KEY, bit = key >> shift;

		if ((filter[bit / 64] >> bit % 64 & 1) == 0)
			continue;
		if (look_up(needles, key, bytes + i, &index)) {
			found_add(found, index);
			met++;
		}
	}
	return met;
}

bool all_zero(const void *bytes, size_t count)
{
	const uint64_t *words = bytes, *end = words + count / sizeof(*words);
	uint64_t any = 0;

	for (; words < end && any == 0; words += 8)
		any = words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7];
	return any == 0;
}

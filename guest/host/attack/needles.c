// SPDX-License-Identifier: Apache-2.0
/* Blocks by digest, at every byte offset of some memory, by its aligned words. */
#include "needles.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 16
/* Filter bits a word that is looked for: one of memory passes with a chance of 1 in 32, and is then looked up. */
#define FILTER_SHIFT 5
#define FILTER_MIN   16
#define KEY_BITS     32
#define DIGEST_PRIME UINT64_C(0xff51afd7ed558ccd)

_Static_assert(sizeof(struct needle) == 48, "as in the file");
_Static_assert((uint64_t)NEEDLE_MAX * NEEDLE_WORD << FILTER_SHIFT <= UINT64_C(1) << KEY_BITS, "a key has bits enough");

/* What the CPU takes in one go. */
typedef uint64_t pair __attribute__((vector_size(16)));

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

/* Word r of the block is looked for. */
static void insert(struct needles *needles, size_t index, unsigned int r)
{
	uint32_t key = needles->list[index].key[r], bit = key >> (KEY_BITS - needles->filter_bits);
	size_t mask = ((size_t)1 << needles->slot_bits) - 1, slot = key >> (KEY_BITS - needles->slot_bits);

	needles->filter[bit / 64] |= UINT64_C(1) << bit % 64;
	while (needles->slots[slot] != 0)
		slot = (slot + 1) & mask;
	needles->slots[slot] = (uint32_t)(index * NEEDLE_WORD + r + 1);
}

/* Is every word one of the block, at a place for its remainder? */
static bool is_sound(const struct needle *needle)
{
	unsigned int r;

	for (r = 0; r < NEEDLE_WORD; r++)
		if (needle->where[r] % NEEDLE_WORD != r || needle->where[r] > NEEDLE_BYTES - NEEDLE_WORD)
			return false;
	return true;
}

static bool make_tables(struct needles *needles)
{
	unsigned int r;
	size_t i;

	needles->slot_bits = bits_for(needles->count * NEEDLE_WORD) + 1;
	needles->filter_bits = bits_for(needles->count * NEEDLE_WORD) + FILTER_SHIFT;
	if (needles->filter_bits < FILTER_MIN)
		needles->filter_bits = FILTER_MIN;
	needles->filter = calloc((size_t)1 << (needles->filter_bits - 6), sizeof(uint64_t));
	needles->slots = calloc((size_t)1 << needles->slot_bits, sizeof(uint32_t));
	if (needles->filter == NULL || needles->slots == NULL)
		return false;
	for (i = 0; i < needles->count; i++) {
		if (!is_sound(&needles->list[i]))
			return false;
		for (r = 0; r < NEEDLE_WORD; r++)
			insert(needles, i, r);
	}
	return true;
}

bool needles_index(struct needles *needles, const uint8_t *file, size_t bytes)
{
	memset(needles, 0, sizeof(*needles));
	if (bytes < HEADER_BYTES || memcmp(file, NEEDLE_MAGIC, 8) != 0)
		return false;
	needles->count = load64(file + 8);
	if (needles->count == 0 || needles->count > NEEDLE_MAX ||
	    bytes != HEADER_BYTES + needles->count * sizeof(struct needle))
		return false;
	needles->list = (const void *)(file + HEADER_BYTES);
	if (make_tables(needles))
		return true;
	needles_free(needles);
	return false;
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

/* What is swept. */
struct piece {
	const uint8_t *bytes;
	size_t starts, readable;
};

/* Blocks that have the word of this key at `place`, and are whole there; how many. */
static size_t look_up(const struct needles *needles, uint32_t key, const struct piece *piece, size_t place,
		      struct found *found)
{
	size_t mask = ((size_t)1 << needles->slot_bits) - 1, slot = key >> (KEY_BITS - needles->slot_bits), met = 0;

	for (; needles->slots[slot] != 0; slot = (slot + 1) & mask) {
		uint32_t entry = needles->slots[slot] - 1;
		const struct needle *needle = &needles->list[entry / NEEDLE_WORD];
		size_t where = needle->where[entry % NEEDLE_WORD], start = place - where;

		if (needle->key[entry % NEEDLE_WORD] != key || where > place || start >= piece->starts ||
		    start + NEEDLE_BYTES > piece->readable || needle->digest != needle_digest(piece->bytes + start))
			continue;
		found_add(found, entry / NEEDLE_WORD);
		met++;
	}
	return met;
}

size_t needles_sweep(const struct needles *needles, const uint8_t *bytes, size_t starts, size_t readable,
		     struct found *found)
{
	const struct piece piece = { bytes, starts, readable };
	const uint64_t *filter = needles->filter;
	unsigned int shift = KEY_BITS - needles->filter_bits;
	size_t place, met = 0;

	for (place = 0; place + NEEDLE_WORD <= readable; place += NEEDLE_WORD) {
		uint32_t key = (uint32_t)(load64(bytes + place) * NEEDLE_KEY >> KEY_BITS), bit = key >> shift;

		if ((filter[bit / 64] >> bit % 64 & 1) != 0)
			met += look_up(needles, key, &piece, place, found);
	}
	return met;
}

bool all_zero(const void *bytes, size_t count)
{
	const pair *at = bytes, *end = at + count / sizeof(*at);
	pair any = { 0 };

	for (; at < end && (any[0] | any[1]) == 0; at += 16)
		any = (at[0] | at[1] | at[2] | at[3]) | (at[4] | at[5] | at[6] | at[7]) |
		      (at[8] | at[9] | at[10] | at[11]) | (at[12] | at[13] | at[14] | at[15]);
	return (any[0] | any[1]) == 0;
}

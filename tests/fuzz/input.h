/* SPDX-License-Identifier: Apache-2.0 */
/* What a fuzzer makes up, taken from the front; behind its end there are zeros. */
#ifndef INPUT_H
#define INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct input {
	const uint8_t *bytes;
	size_t left;
};

static inline size_t input_left(const struct input *input)
{
	return input->left;
}

static inline void input_bytes(struct input *input, void *bytes, size_t count)
{
	size_t there = count < input->left ? count : input->left;

	memset(bytes, 0, count);
	memcpy(bytes, input->bytes, there);
	input->bytes += there;
	input->left -= there;
}

/* A number of `count` bytes, 8 at most. */
static inline uint64_t input_number(struct input *input, size_t count)
{
	uint64_t value = 0;

	input_bytes(input, &value, count);
	return value;
}

/* A number below `limit`, from as few bytes as it takes. */
static inline uint32_t input_below(struct input *input, uint32_t limit)
{
	return (uint32_t)(input_number(input, limit <= 0x100 ? 1 : limit <= 0x10000 ? 2 : 4) % limit);
}

#endif

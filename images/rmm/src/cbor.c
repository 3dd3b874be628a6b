/* SPDX-License-Identifier: Apache-2.0 */
#include "cbor.h"

#include "arch.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);

/* Major types (RFC 8949, 3.1). */
enum major {
	MAJOR_UINT,
	MAJOR_NEGATIVE,
	MAJOR_BYTES,
	MAJOR_TEXT,
	MAJOR_ARRAY,
	MAJOR_MAP,
	MAJOR_TAG,
};

/* Additional information (3): below 24 the argument itself, from 24 on the number of its bytes, as a power of two. */
#define ARGUMENT_IN_BYTES 24U

void cbor_raw(struct cbor *out, const void *bytes, size_t count)
{
	if (count > out->most - out->count)
		panic("cbor: an item is longer than its buffer");
	memcpy(out->bytes + out->count, bytes, count);
	out->count += count;
}

static void head(struct cbor *out, enum major major, uint64_t argument)
{
	uint8_t bytes[9] = { (uint8_t)((unsigned int)major << 5) };
	unsigned int width = 0, i;

	if (argument < ARGUMENT_IN_BYTES) {
		bytes[0] |= (uint8_t)argument;
	} else {
		while (width < 3 && argument >> (8U << width) != 0)
			width++;
		bytes[0] |= (uint8_t)(ARGUMENT_IN_BYTES + width);
		width = 1U << width;
		for (i = 0; i < width; i++)
			bytes[1 + i] = (uint8_t)(argument >> 8 * (width - 1 - i));
	}
	cbor_raw(out, bytes, 1 + width);
}

void cbor_uint(struct cbor *out, uint64_t value)
{
	head(out, MAJOR_UINT, value);
}

void cbor_negative(struct cbor *out, uint64_t value)
{
	head(out, MAJOR_NEGATIVE, value);
}

void cbor_bytes_head(struct cbor *out, size_t count)
{
	head(out, MAJOR_BYTES, count);
}

void cbor_bytes(struct cbor *out, const void *bytes, size_t count)
{
	cbor_bytes_head(out, count);
	cbor_raw(out, bytes, count);
}

void cbor_text(struct cbor *out, const char *text)
{
	size_t count = 0;

	while (text[count] != '\0')
		count++;
	head(out, MAJOR_TEXT, count);
	cbor_raw(out, text, count);
}

void cbor_array(struct cbor *out, size_t items)
{
	head(out, MAJOR_ARRAY, items);
}

void cbor_map(struct cbor *out, size_t pairs)
{
	head(out, MAJOR_MAP, pairs);
}

void cbor_tag(struct cbor *out, uint64_t tag)
{
	head(out, MAJOR_TAG, tag);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The memory functions that a freestanding compiler may call (ISO C 4.6, GCC "Standards"). */
#include "types.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *left, const void *right, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	char *target = to;
	const char *source = from;

	if ((((uintptr_t)target | (uintptr_t)source) & 7) == 0) {
		for (; bytes >= 32; bytes -= 32, target += 32, source += 32) {
			uint64_t *words = (uint64_t *)(void *)target;
			const uint64_t *from_words = (const uint64_t *)(const void *)source;
			uint64_t a = from_words[0], b = from_words[1], c = from_words[2], d = from_words[3];

			words[0] = a;
			words[1] = b;
			words[2] = c;
			words[3] = d;
		}
		for (; bytes >= 8; bytes -= 8, target += 8, source += 8)
			*(uint64_t *)(void *)target = *(const uint64_t *)(const void *)source;
	}
	while (bytes-- != 0)
		*target++ = *source++;
	return to;
}

void *memset(void *to, int value, size_t bytes)
{
	char *target = to;
	uint64_t word = (uint64_t)(uint8_t)value * UINT64_C(0x0101010101010101);

	for (; bytes != 0 && ((uintptr_t)target & 7) != 0; bytes--)
		*target++ = (char)value;
	for (; bytes >= 32; bytes -= 32, target += 32) {
		uint64_t *words = (uint64_t *)(void *)target;

		words[0] = word;
		words[1] = word;
		words[2] = word;
		words[3] = word;
	}
	for (; bytes >= 8; bytes -= 8, target += 8)
		*(uint64_t *)(void *)target = word;
	while (bytes-- != 0)
		*target++ = (char)value;
	return to;
}

int memcmp(const void *left, const void *right, size_t bytes)
{
	const uint8_t *a = left, *b = right;

	for (; bytes != 0; bytes--, a++, b++)
		if (*a != *b)
			return *a - *b;
	return 0;
}

void *memmove(void *to, const void *from, size_t bytes)
{
	char *target = to;
	const char *source = from;

	if ((uintptr_t)to <= (uintptr_t)from)
		while (bytes-- != 0)
			*target++ = *source++;
	else
		while (bytes-- != 0)
			target[bytes] = source[bytes];
	return to;
}

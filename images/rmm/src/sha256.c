/* SPDX-License-Identifier: Apache-2.0 */
#include "sha256.h"

#include "arch.h"

#define BLOCK 64U

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

static void put_big_endian(uint8_t *to, uint64_t value, unsigned int bytes)
{
	while (bytes-- != 0) {
		to[bytes] = (uint8_t)value;
		value >>= 8;
	}
}

void sha256(const void *message, size_t bytes, uint8_t digest[SHA256_BYTES])
{
	/* FIPS 180-4, 5.3.3. */
	uint32_t state[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	uint8_t tail[2 * BLOCK] __attribute__((aligned(16)));
	size_t rest = bytes % BLOCK;
	/* 5.1.1: one bit, zeroes, the length in the last eight bytes. */
	size_t tail_bytes = rest + 9 <= BLOCK ? BLOCK : 2 * BLOCK;
	unsigned int i;

	arch_sha256_blocks(state, message, bytes / BLOCK);
	memset(tail, 0, sizeof(tail));
	memcpy(tail, (const uint8_t *)message + (bytes - rest), rest);
	tail[rest] = 0x80;
	put_big_endian(tail + tail_bytes - 8, (uint64_t)bytes * 8, 8);
	arch_sha256_blocks(state, tail, tail_bytes / BLOCK);
	for (i = 0; i < 8; i++)
		put_big_endian(digest + 4 * i, state[i], 4);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sha256.h"

#include "arch.h"

#define BLOCK 64U

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

/* FIPS 180-4 writes all numbers with the highest byte first. */
void sha256(const void *message, size_t bytes, uint8_t digest[SHA256_BYTES])
{
	/* 5.3.3. */
	uint32_t state[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	uint64_t tail[2 * BLOCK / 8];
	size_t rest = bytes % BLOCK;
	/* 5.1.1: one bit, zeroes, the length in the last eight bytes. */
	size_t tail_bytes = rest + 9 <= BLOCK ? BLOCK : 2 * BLOCK;
	unsigned int i;

	arch_sha256_blocks(state, message, bytes / BLOCK);
	memset(tail, 0, tail_bytes);
	memcpy(tail, (const uint8_t *)message + (bytes - rest), rest);
	((uint8_t *)tail)[rest] = 0x80;
	tail[tail_bytes / 8 - 1] = __builtin_bswap64((uint64_t)bytes * 8);
	arch_sha256_blocks(state, (const uint8_t *)tail, tail_bytes / BLOCK);
	for (i = 0; i < 8; i++)
		state[i] = __builtin_bswap32(state[i]);
	memcpy(digest, state, SHA256_BYTES);
}

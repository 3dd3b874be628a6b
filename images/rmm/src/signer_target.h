/* SPDX-License-Identifier: Apache-2.0 */
/* A signature's stack and memory, as C, assembly (signer.S) and the library's allocator see it. */
#ifndef RMM_SIGNER_TARGET_H
#define RMM_SIGNER_TARGET_H

#include "es384.h"
#include "heap.h"
#include "types.h"

struct workplace {
	/* Assembly knows these: of its stack while it is left, of the CPU's while it is not. */
	uint64_t sp, cpu_sp;

	const uint8_t *key;
	uint8_t message[SIGNER_MESSAGE_BYTES];
	size_t bytes;
	bool good;
	union {
		uint8_t signature[ATTEST_SIGNATURE_BYTES];
		uint8_t point[2 * ATTEST_SCALAR_BYTES];
	};
	struct heap heap;
} __attribute__((aligned(2048))); /* so that access_zero() takes it */

#endif

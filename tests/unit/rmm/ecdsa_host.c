/* SPDX-License-Identifier: Apache-2.0 */
/* The RMM's signatures on the build host, by a line protocol: `sign KEY MESSAGE`, `public KEY`, `room SMALL LARGE`. */
#include "ecdsa.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"

static struct heap heap;
/* Blocks that a test has taken away. */
static uint64_t small_taken, large_taken;

static struct heap *the_heap(void)
{
	return &heap;
}

static size_t bytes_of(const char *hex, uint8_t *to, size_t most)
{
	unsigned int value;
	size_t count = 0;

	while (count < most && hex != NULL && sscanf(hex, "%2x", &value) == 1 && hex[0] > ' ' && hex[1] > ' ') {
		to[count++] = (uint8_t)value;
		hex += 2;
	}
	return count;
}

/* "no", or the bytes; then the blocks that were not given back. */
static void say(bool good, const uint8_t *bytes, size_t count)
{
	if (!good)
		printf("no");
	while (good && count-- != 0)
		printf("%02x", *bytes++);
	printf(" %" PRIx64 " %" PRIx64 "\n", heap.small_used & ~small_taken, heap.large_used & ~large_taken);
	fflush(stdout);
}

int main(void)
{
	static char line[16384];
	static uint8_t message[8192];
	uint8_t key[ATTEST_SCALAR_BYTES], result[ATTEST_SIGNATURE_BYTES];

	heap_this = the_heap;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		char *word = strtok(line, " \n"), *first = strtok(NULL, " \n"), *second = strtok(NULL, " \n");

		if (strcmp(word, "room") == 0) {
			small_taken = ~UINT64_C(0) << strtoul(first, NULL, 10);
			large_taken = ~UINT64_C(0) << strtoul(second, NULL, 10);
		}
		heap.small_used = small_taken;
		heap.large_used = large_taken;
		if (strcmp(word, "room") == 0) {
			say(true, NULL, 0);
			continue;
		}
		(void)bytes_of(first, key, sizeof(key));
		if (strcmp(word, "sign") == 0) {
			size_t count = bytes_of(second, message, sizeof(message));

			say(ecdsa_sign(key, message, count, result), result, sizeof(result));
		} else {
			say(ecdsa_public_key(key, result), result, sizeof(result));
		}
	}
	return 0;
}

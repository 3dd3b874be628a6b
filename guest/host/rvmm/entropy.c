/* SPDX-License-Identifier: Apache-2.0 */
#include "entropy.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "error.h"

/* SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). Anything but a secret. */
static uint64_t next_word(uint64_t *state)
{
	uint64_t word = *state += UINT64_C(0x9e3779b97f4a7c15);

	word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
	return word ^ word >> 31;
}

static void fill_seeded(struct entropy *entropy, uint8_t *bytes, size_t count)
{
	size_t done, part;

	for (done = 0; done < count; done += part) {
		uint64_t word = next_word(&entropy->state);

		part = count - done < sizeof(word) ? count - done : sizeof(word);
		memcpy(bytes + done, &word, part);
	}
}

int entropy_fill(struct entropy *entropy, void *bytes, size_t count)
{
	size_t done = 0;
	ssize_t got;

	if (entropy->seeded) {
		fill_seeded(entropy, bytes, count);
		return 0;
	}
	while (done < count) {
		got = getrandom((uint8_t *)bytes + done, count - done, 0);
		if (got < 0 && errno != EINTR)
			return fail_errno("getrandom");
		done += got > 0 ? (size_t)got : 0;
	}
	return 0;
}

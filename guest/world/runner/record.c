// SPDX-License-Identifier: Apache-2.0
#include "record.h"

#include <sys/mman.h>

/* Address space, not memory: what a run may release in all. */
#define RELEASED_MAX ((size_t)256 << 20)

struct record *record_new(uint32_t iterations)
{
	const size_t head = sizeof(struct record) + iterations * sizeof(struct iteration);
	struct record *record = mmap(NULL, head + RELEASED_MAX, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (record == MAP_FAILED)
		return NULL;
	record->released = (uint8_t *)record + head;
	record->room = RELEASED_MAX;
	return record;
}

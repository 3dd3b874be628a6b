/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing stays behind. */
#include "checks.h"

static void taken_apart(void)
{
	EXPECT(realm_destroy(&lab), RMI_SUCCESS);
}

static void all_returned(void)
{
	uint64_t first = 0;

	EXPECT(pages_outstanding(&first), 0);
	EXPECT(first, 0);
	EXPECT(pages_spoiled(), 0);
}

const struct check checks_end[] = {
	CHECK(taken_apart, "End: the realm goes"),
	CHECK(all_returned, "End: every granule came back, and zero"),
	CHECKS_END,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Checks and their report (Test Anything Protocol). */
#ifndef TAP_H
#define TAP_H

#include <stdbool.h>
#include <stdint.h>

struct check {
	const char *name;
	void (*function)(void);
};

/* One line of a group's table. The table ends with an empty entry. */
#define CHECK(function, name) { name, function }
#define CHECKS_END { 0, 0 }

/* Part of the check that runs: `got` is to be `wanted`. */
#define EXPECT(got, wanted) expect_equal(__FILE__, __LINE__, #got, (uint64_t)(got), (uint64_t)(wanted))
#define EXPECT_NOT(got, unwanted) expect_other(__FILE__, __LINE__, #got, (uint64_t)(got), (uint64_t)(unwanted))
#define EXPECT_TRUE(condition) EXPECT((condition) ? 1 : 0, 1)

bool expect_equal(const char *file, int line, const char *what, uint64_t got, uint64_t wanted);
bool expect_other(const char *file, int line, const char *what, uint64_t got, uint64_t unwanted);
void run_checks(const struct check *checks);
/* The plan, behind the last check. */
void end_checks(void);
/* Leave out the rest of this check; the reason is shown. */
void skip_check(const char *why);

#endif

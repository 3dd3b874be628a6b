/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"

#include "console.h"

static unsigned int number;
static bool failed;
static const char *skipped;

static void complain(const char *file, int line, const char *what, uint64_t got, const char *expected, uint64_t wanted)
{
	failed = true;
	print_text("# ");
	print_text(file);
	print_text(":");
	print_decimal((uint64_t)line);
	print_text(": ");
	print_text(what);
	print_text(": expected ");
	print_text(expected);
	print_hex(wanted);
	print_text(", got ");
	print_hex(got);
	print_text("\n");
}

bool expect_equal(const char *file, int line, const char *what, uint64_t got, uint64_t wanted)
{
	if (got != wanted)
		complain(file, line, what, got, "", wanted);
	return got == wanted;
}

bool expect_other(const char *file, int line, const char *what, uint64_t got, uint64_t unwanted)
{
	if (got == unwanted)
		complain(file, line, what, got, "anything but ", unwanted);
	return got != unwanted;
}

void skip_check(const char *why)
{
	skipped = why;
}

void run_checks(const struct check *checks)
{
	for (; checks->function != 0; checks++) {
		failed = false;
		skipped = 0;
		checks->function();
		print_text(failed ? "not ok " : "ok ");
		print_decimal(++number);
		print_text(" - ");
		print_text(checks->name);
		if (!failed && skipped != 0) {
			print_text(" # SKIP ");
			print_text(skipped);
		}
		print_text("\n");
	}
}

void end_checks(void)
{
	print_text("1..");
	print_decimal(number);
	print_text("\n");
}

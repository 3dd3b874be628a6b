/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marker: execute markers (guest/abi/orch_marker.h) from a shell, and place a kernel's ticks (tick.h).
 *
 *     marker begin EVENT ID      marker end EVENT ID      marker pair EVENT ID
 *     marker clock               marker apart OFFSET PERIOD
 *
 * `pair` executes a begin and its end with nothing between them: what it counts
 * is the cost of marking itself. `clock` prints the offset of this kernel's clock, ns; `apart` moves the ticks of this
 * kernel half a PERIOD away from those of a kernel with that OFFSET.
 * It stands with the host's tools; the guests' image has the same program, so that all worlds are marked alike.
 * Exit status: 0, 1 = the system refused, 2 = wrong usage.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../../abi/orch_marker.h"
#include "tick.h"

#define A64_RET    UINT32_C(0xd65f03c0)
#define PERIOD_MAX 1000000000

/* The first argument of an AArch64 function is x0, where the ABI wants the value. */
typedef void marker_fn(uint64_t value);

static int usage(const char *problem, const char *what)
{
	fprintf(stderr, "marker: %s%s%s\n", problem, what ? ": " : "", what ? what : "");
	fprintf(stderr, "usage: marker begin|end|pair EVENT ID   "
			"(EVENT 0..%d, ID 0..2^63-1; decimal or 0x...)\n"
			"       marker clock\n"
			"       marker apart OFFSET PERIOD   (ns; PERIOD 1..%d)\n", ORCH_EVENT_MAX, PERIOD_MAX);
	return 2;
}

static bool parse(const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')         /* strtoull would take " -1" */
		return false;
	errno = 0;
	*value = strtoull(text, &end, 0);
	return errno == 0 && *end == '\0' && *value <= max;
}

/*
 * The event number is part of the opcode, so a number known only at run time
 * needs the instruction to be written: `movz xzr, #event; ret` into a page that
 * is made executable. One way for all 65536 numbers, and no table to keep.
 */
static marker_fn *make_marker(uint32_t event)
{
	const uint32_t code[] = { ORCH_MARKER_OPCODE(event), A64_RET };
	marker_fn *fn;
	char *page = mmap(NULL, sizeof code, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	memcpy(page, code, sizeof code);
	if (mprotect(page, sizeof code, PROT_READ | PROT_EXEC) != 0)
		return NULL;
	__builtin___clear_cache(page, page + sizeof code);
	memcpy(&fn, &page, sizeof fn);          /* ISO C has no cast from data to function */
	return fn;
}

static int clock_offset(void)
{
	return printf("%lld\n", (long long)tick_offset()) < 0 || fflush(stdout) != 0;
}

static int apart(const char *offset_text, const char *period_text)
{
	const bool behind = *offset_text == '-';
	uint64_t offset, period;

	if (!parse(offset_text + behind, INT64_MAX, &offset))
		return usage("not an offset", offset_text);
	if (!parse(period_text, PERIOD_MAX, &period) || period == 0)
		return usage("not a period", period_text);
	if (tick_apart(behind ? -(int64_t)offset : (int64_t)offset, (int64_t)period) < 0) {
		perror("marker: the ticks cannot be moved");
		return 1;
	}
	return 0;
}

static int mark(char **words)
{
	const bool pair = !strcmp(words[0], "pair"), begin = pair || !strcmp(words[0], "begin");
	const bool end = pair || !strcmp(words[0], "end");
	uint64_t event, id;
	marker_fn *marker;

	if (!begin && !end)
		return usage("none of begin, end, pair, apart", words[0]);
	if (!parse(words[1], ORCH_EVENT_MAX, &event))
		return usage("not an event number", words[1]);
	if (!parse(words[2], ORCH_MARKER_ID_MAX, &id))
		return usage("not an id", words[2]);
	marker = make_marker((uint32_t)event);
	if (!marker) {
		perror("marker: cannot get an executable page");
		return 1;
	}
	if (begin && end) {
		marker(id);
		marker(id | ORCH_MARKER_END);
	} else {
		marker(begin ? id : id | ORCH_MARKER_END);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "clock"))
		return clock_offset();
	if (argc != 4)
		return usage("three arguments expected", NULL);
	return strcmp(argv[1], "apart") ? mark(argv + 1) : apart(argv[2], argv[3]);
}

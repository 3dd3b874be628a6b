/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marker: execute markers (guest/abi/orch_marker.h) from a shell.
 *
 *     marker begin EVENT ID      marker end EVENT ID      marker pair EVENT ID
 *
 * `pair` executes a begin and its end with nothing between them: what it counts
 * is the cost of marking itself.
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

#define A64_RET UINT32_C(0xd65f03c0)

/* The first argument of an AArch64 function is x0, where the ABI wants the value. */
typedef void marker_fn(uint64_t value);

static int usage(const char *problem, const char *what)
{
	fprintf(stderr, "marker: %s%s%s\n", problem, what ? ": " : "", what ? what : "");
	fprintf(stderr, "usage: marker begin|end|pair EVENT ID   "
			"(EVENT 0..%d, ID 0..2^63-1; decimal or 0x...)\n", ORCH_EVENT_MAX);
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

int main(int argc, char **argv)
{
	uint64_t event, id;
	marker_fn *mark;
	bool begin, end;

	if (argc != 4)
		return usage("three arguments expected", NULL);
	begin = !strcmp(argv[1], "begin") || !strcmp(argv[1], "pair");
	end = !strcmp(argv[1], "end") || !strcmp(argv[1], "pair");
	if (!begin && !end)
		return usage("neither begin, end nor pair", argv[1]);
	if (!parse(argv[2], ORCH_EVENT_MAX, &event))
		return usage("not an event number", argv[2]);
	if (!parse(argv[3], ORCH_MARKER_ID_MAX, &id))
		return usage("not an id", argv[3]);

	mark = make_marker((uint32_t)event);
	if (!mark) {
		perror("marker: cannot get an executable page");
		return 1;
	}
	if (begin && end) {
		mark(id);
		mark(id | ORCH_MARKER_END);
	} else {
		mark(begin ? id : id | ORCH_MARKER_END);
	}
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/* The pass is made by processes that die one after the other, each at a page that is not for the host. */
#include "sweep.h"

#include "exposed.h"

struct pass {
	struct sweep *sweep;
	struct span *span;
	/* Where the pass is; volatile, as its process may end at any load. */
	volatile size_t page;
	volatile size_t touching; /* index + 1 of a page that is touched for the first time */
	volatile uint64_t zero;
};

static bool readable(struct pass *pass, size_t page)
{
	struct span *span = pass->span;

	if (page >= span->pages)
		return false;
	if (span->classes[page] == PAGE_UNKNOWN) {
		pass->touching = page + 1;
		(void)*(const volatile uint8_t *)(span->bytes + page * PAGE);
		span->classes[page] = PAGE_READS;
		pass->touching = 0;
	}
	return span->classes[page] == PAGE_READS;
}

static void look_into(struct pass *pass, size_t page)
{
	const uint8_t *bytes = pass->span->bytes + page * PAGE;
	size_t next = readable(pass, page + 1) ? NEEDLE_BYTES - 1 : 0; /* for a block that goes on there */

	if (all_zero(bytes, PAGE))
		pass->zero++;
	else
		needles_sweep(pass->sweep->needles, bytes, PAGE, PAGE + next, pass->sweep->found);
}

static void go_on(void *context)
{
	struct pass *pass = context;

	for (; pass->page < pass->span->pages; pass->page++)
		if (readable(pass, pass->page) && pass->sweep->needles != NULL)
			look_into(pass, pass->page);
}

/* Only a touch tells which page it was. One that was delegated while it was looked into is touched again. */
static void note_end(struct pass *pass)
{
	struct span *span = pass->span;

	if (pass->touching != 0) {
		span->classes[pass->touching - 1] = PAGE_FAULTS;
		pass->touching = 0;
		pass->sweep->faulted++;
		return;
	}
	span->classes[pass->page] = PAGE_UNKNOWN;
	if (pass->page + 1 < span->pages && span->classes[pass->page + 1] == PAGE_READS)
		span->classes[pass->page + 1] = PAGE_UNKNOWN;
}

void sweep_ram(struct sweep *sweep, struct ram *ram)
{
	size_t i;

	for (i = 0; i < ram->count; i++) {
		struct pass pass = { .sweep = sweep, .span = &ram->spans[i] };

		while (!run_exposed(go_on, &pass))
			note_end(&pass);
		sweep->zero += pass.zero;
	}
}

// SPDX-License-Identifier: Apache-2.0
/* A page is visited when the next one is there, or when there is none. */
#include "window.h"

#include <string.h>

uint8_t *window_room(struct window *window)
{
	return window->bytes + window->held;
}

static size_t lesser(size_t a, size_t b)
{
	return a < b ? a : b;
}

void window_visit(struct window *window, size_t got, bool end, page_visit *visit, void *context)
{
	size_t at, left;

	window->held += got;
	for (at = 0; at < window->held && (end || at + PAGE < window->held); at += PAGE) {
		left = window->held - at;
		visit(context, window->bytes + at, lesser(left, PAGE), lesser(left, PAGE + NEEDLE_BYTES - 1));
	}
	window->held -= lesser(at, window->held);
	memmove(window->bytes, window->bytes + at, window->held);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is read piece by piece, seen page by page; a block may begin in one page and end in the next. */
#ifndef WINDOW_H
#define WINDOW_H

#include "needles.h"
#include "ram.h"

#define WINDOW_CHUNK (256 * PAGE)

struct window {
	_Alignas(64) uint8_t bytes[WINDOW_CHUNK + PAGE];
	size_t held; /* a page at most, whose next is not there yet */
};

/* What is done with a page (the last of all may be shorter); `readable` bytes from its beginning are there. */
typedef void page_visit(void *context, const uint8_t *page, size_t bytes, size_t readable);

/* Where the next piece goes: WINDOW_CHUNK bytes, whole pages but for the last of all. */
uint8_t *window_room(struct window *window);

/* `got` bytes have come. With `end` nothing goes on behind them. */
void window_visit(struct window *window, size_t got, bool end, page_visit *visit, void *context);

#endif

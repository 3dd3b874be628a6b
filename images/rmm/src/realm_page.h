/* SPDX-License-Identifier: Apache-2.0 */
/* A realm's own memory, as an RSI command uses it. */
#ifndef RMM_REALM_PAGE_H
#define RMM_REALM_PAGE_H

#include "rec.h"

enum page_state {
	PAGE_OPEN,                    /* `bytes` is the page; the realm is locked until realm_page_close() */
	PAGE_REFUSED,                 /* not Protected RAM: the realm's mistake */
	PAGE_ABSENT,                  /* the host must provide it first; `level` is where the walk ended */
};

struct realm_page {
	struct realm realm;
	uint8_t *bytes;
	unsigned int level;
};

/* The page that holds `ipa` of the REC's realm. */
enum page_state realm_page_open(const struct rec *rec, uint64_t ipa, struct realm_page *page);
void realm_page_close(const struct realm_page *page);

#endif

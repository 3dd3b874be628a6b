/* SPDX-License-Identifier: Apache-2.0 */
#include "realm_page.h"

#include "arch.h"

enum page_state realm_page_open(const struct rec *rec, uint64_t ipa, struct realm_page *page)
{
	struct rtt_walk walk;
	uint64_t entry;
	enum page_state state = PAGE_ABSENT;

	rec_lock_realm(rec, &page->realm);
	if (ipa >= realm_protected_end(page->realm.rd)) {
		realm_unlock(&page->realm);
		return PAGE_REFUSED;
	}
	rtt_walk(&page->realm, ipa, RTT_PAGE_LEVEL, &walk);
	entry = rtt_entry(&walk);
	page->level = walk.level;
	if (rtt_ripas(entry) == RIPAS_EMPTY)
		state = PAGE_REFUSED;
	else if (rtt_ripas(entry) == RIPAS_RAM && rtt_state(entry, walk.level) == RTT_ASSIGNED)
		state = PAGE_OPEN;
	if (state != PAGE_OPEN) {
		realm_unlock(&page->realm);
		return state;
	}
	page->bytes = arch_granule(rtt_entry_address(entry) +
				   (ipa & (rtt_span(walk.level) - 1) & ~(uint64_t)GRANULE_MASK));
	return PAGE_OPEN;
}

void realm_page_close(const struct realm_page *page)
{
	realm_unlock(&page->realm);
}

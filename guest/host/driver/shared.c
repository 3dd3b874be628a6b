// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "rmi.h"
#include "shared.h"
#include "tables.h"

static int map_shared(struct realm *realm, u64 ipa, struct page *page)
{
	u64 status;
	int err;

	do {
		status = rmi(NULL, RMI_RTT_MAP_UNPROTECTED, realm->rd, ipa, RTT_PAGE_LEVEL,
			     page_to_phys(page) | RMI_UNPROTECTED_NORMAL);
		if (status == RMI_SUCCESS)
			return 0;
		err = rmi_lacks_table(status) ? tables_add(realm, ipa, status) :
						realm_refused(realm, RMI_RTT_MAP_UNPROTECTED, status);
	} while (!err);
	return err;
}

static int share_page(struct realm *realm, u64 ipa, u64 source)
{
	struct page *page;
	int err;

	if (xa_load(&realm->shared, ipa >> PAGE_SHIFT))
		return 0;
	err = pin_user_pages_fast(source, 1, FOLL_WRITE | FOLL_LONGTERM, &page);
	if (err != 1)
		return err < 0 ? err : -EFAULT;
	err = xa_err(xa_store(&realm->shared, ipa >> PAGE_SHIFT, page, GFP_KERNEL_ACCOUNT));
	if (!err) {
		err = map_shared(realm, ipa, page);
		if (!err)
			return 0;
		xa_erase(&realm->shared, ipa >> PAGE_SHIFT);
	}
	unpin_user_page(page);
	return err;
}

int shared_add(struct realm *realm, struct realm_share *share)
{
	int err = 0;

	if (!valid_range(share->ipa, share->ipa + share->size, protected_end(realm), 2 * protected_end(realm)) ||
	    !PAGE_ALIGNED(share->source))
		return -EINVAL;
	while (!err && share->size) {
		err = share_page(realm, share->ipa, share->source);
		if (err)
			return err;
		share->ipa += PAGE_SIZE;
		share->source += PAGE_SIZE;
		share->size -= PAGE_SIZE;
		err = realm_breathe();
	}
	return err;
}

static int unshare(struct realm *realm, u64 base, u64 top)
{
	unsigned long index;
	struct page *page;
	u64 status;

	xa_for_each_range(&realm->shared, index, page, base >> PAGE_SHIFT, (top >> PAGE_SHIFT) - 1) {
		status = rmi(NULL, RMI_RTT_UNMAP_UNPROTECTED, realm->rd, (u64)index << PAGE_SHIFT, RTT_PAGE_LEVEL);
		/* While the realm can write to it, the page must not become anyone else's: it stays pinned. */
		if (status != RMI_SUCCESS)
			return realm_refused(realm, RMI_RTT_UNMAP_UNPROTECTED, status);
		xa_erase(&realm->shared, index);
		unpin_user_pages_dirty_lock(&page, 1, true);
		cond_resched();
	}
	return 0;
}

int shared_remove(struct realm *realm, struct realm_range *range)
{
	int err;

	if (!valid_range(range->base, range->top, protected_end(realm), 2 * protected_end(realm)))
		return -EINVAL;
	err = unshare(realm, range->base, range->top);
	if (!err)
		range->base = range->top;
	return err;
}

void shared_release(struct realm *realm)
{
	unshare(realm, protected_end(realm), 2 * protected_end(realm));
}

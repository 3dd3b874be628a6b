// SPDX-License-Identifier: GPL-2.0-only
/* What is mapped into a realm: its own pages, the VMM's shared pages, the tables that map them. */
#include <linux/align.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "realm.h"

static u64 protected_end(const struct realm *realm)
{
	return BIT_ULL(realm->ipa_bits - 1);
}

/* Whether [base, top) is made of pages and lies within [low, high). */
static bool valid_range(u64 base, u64 top, u64 low, u64 high)
{
	return PAGE_ALIGNED(base | top) && base < top && base >= low && top <= high;
}

/* Let others run, and see whether the caller is wanted elsewhere. */
static int breathe(void)
{
	cond_resched();
	if (realm_closing())
		return -ENODEV;
	return signal_pending(current) ? -EINTR : 0;
}

/* Add the table below the entry where a walk for `ipa` stopped with `status`. */
static int add_table(struct realm *realm, u64 ipa, u64 status)
{
	int level = RMI_INDEX(status) + 1;
	phys_addr_t table;
	u64 result;

	/* Callers try again until nothing is missing: an RMM that always misses something must not keep them for ever. */
	if (fatal_signal_pending(current))
		return -EINTR;
	table = granule_alloc();
	if (!table)
		return -ENOMEM;
	result = rmi(NULL, RMI_RTT_CREATE, realm->rd, table, ALIGN_DOWN(ipa, RTT_ENTRY_SIZE(level - 1)), level);
	if (result == RMI_SUCCESS) {
		realm->granules++;
		return 0;
	}
	granule_free(table);
	return realm_refused(realm, RMI_RTT_CREATE, result);
}

static bool lacks_table(u64 status)
{
	return RMI_STATUS(status) == RMI_ERROR_RTT && RMI_INDEX(status) < RTT_PAGE_LEVEL;
}

int memory_init_ripas(struct realm *realm, struct realm_range *range)
{
	u64 out[4], status;
	int err = 0;

	if (!valid_range(range->base, range->top, 0, protected_end(realm)))
		return -EINVAL;
	while (!err && range->base < range->top) {
		status = rmi(out, RMI_RTT_INIT_RIPAS, realm->rd, range->base, range->top);
		if (status == RMI_SUCCESS && out[0] > range->base)
			range->base = out[0];
		else if (lacks_table(status))
			err = add_table(realm, range->base, status);
		else
			return realm_refused(realm, RMI_RTT_INIT_RIPAS, status);
		err = err ?: breathe();
	}
	return err;
}

/* ---- Pages of the realm's own ----------------------------------------------------------------------------- */

static int data_create(struct realm *realm, u64 ipa, u64 source, u64 flags)
{
	phys_addr_t granule = granule_alloc();
	u64 status;
	int err = 0;

	if (!granule)
		return -ENOMEM;
	do {
		status = rmi(NULL, RMI_DATA_CREATE, realm->rd, granule, ipa, source, flags);
		if (status == RMI_SUCCESS) {
			realm->granules++;
			return 0;
		}
		err = lacks_table(status) ? add_table(realm, ipa, status) : realm_refused(realm, RMI_DATA_CREATE, status);
	} while (!err);
	granule_free(granule);
	return err;
}

static int data_create_from_user(struct realm *realm, const struct realm_data *data)
{
	struct page *page;
	int err = pin_user_pages_fast(data->source, 1, 0, &page);

	if (err != 1)
		return err < 0 ? err : -EFAULT;
	err = data_create(realm, data->ipa, page_to_phys(page), data->flags);
	unpin_user_page(page);
	return err;
}

int memory_data(struct realm *realm, struct realm_data *data)
{
	int err = 0;

	if (!valid_range(data->ipa, data->ipa + data->size, 0, protected_end(realm)) ||
	    !PAGE_ALIGNED(data->source) || (data->flags & ~REALM_DATA_MEASURE))
		return -EINVAL;
	while (!err && data->size) {
		err = data_create_from_user(realm, data);
		if (err)
			return err;
		data->ipa += PAGE_SIZE;
		data->source += PAGE_SIZE;
		data->size -= PAGE_SIZE;
		err = breathe();
	}
	return err;
}

/* Back `ipa` with *spare if nothing does; *spare is 0 afterwards if it was used. */
static int populate_page(struct realm *realm, u64 ipa, phys_addr_t *spare)
{
	u64 status;
	int err;

	if (!*spare)
		*spare = granule_alloc();
	if (!*spare)
		return -ENOMEM;
	do {
		status = rmi(NULL, RMI_DATA_CREATE_UNKNOWN, realm->rd, *spare, ipa);
		if (status == RMI_SUCCESS) {
			*spare = 0;
			realm->granules++;
			return 0;
		}
		if (RMI_STATUS(status) != RMI_ERROR_RTT)
			return realm_refused(realm, RMI_DATA_CREATE_UNKNOWN, status);
		if (!lacks_table(status))
			return 0; /* there is one already */
		err = add_table(realm, ipa, status);
	} while (!err);
	return err;
}

int memory_populate(struct realm *realm, struct realm_range *range)
{
	phys_addr_t spare = 0;
	int err = 0;

	if (!valid_range(range->base, range->top, 0, protected_end(realm)))
		return -EINVAL;
	while (!err && range->base < range->top) {
		err = populate_page(realm, range->base, &spare);
		if (err)
			break;
		range->base += PAGE_SIZE;
		err = breathe();
	}
	if (spare)
		granule_free(spare);
	return err;
}

/* One that the RMM has named: nothing of the realm's is there any more. */
static void taken_out(struct realm *realm, phys_addr_t granule)
{
	realm->granules--;
	granule_free(granule);
}

/*
 * Take all pages in [base, top) out of the realm. Not interrupted: half of it is of no use to anyone. One that the RMM does not
 * give back stays in the count, and the next is tried: more refusals than there are granules are not about any of them.
 */
static void data_destroy(struct realm *realm, u64 base, u64 top)
{
	unsigned long refused = 0;
	u64 out[4], status;

	while (base < top) {
		status = rmi(out, RMI_DATA_DESTROY, realm->rd, base);
		if (status == RMI_SUCCESS) {
			taken_out(realm, out[0]);
		} else if (RMI_STATUS(status) != RMI_ERROR_RTT) {
			if (++refused > realm->granules)
				break;
			out[1] = 0;
		}
		/* The RMM names the next page that is mapped, or the table's end. */
		base = max(out[1], base + PAGE_SIZE);
		cond_resched();
	}
}

int memory_set_ripas(struct realm *realm, struct realm_ripas *ripas)
{
	u64 out[4], status;
	int err = 0;

	if (!valid_range(ripas->base, ripas->top, 0, protected_end(realm)) || ripas->ripas > 1 ||
	    ripas->rec >= realm->num_recs)
		return -EINVAL;
	while (!err && ripas->base < ripas->top) {
		status = rmi(out, RMI_RTT_SET_RIPAS, realm->rd, realm->recs[ripas->rec]->granule, ripas->base,
			     ripas->top);
		if (status == RMI_SUCCESS && out[0] > ripas->base) {
			if (ripas->ripas == 0)
				data_destroy(realm, ripas->base, out[0]);
			ripas->base = out[0];
		} else if (lacks_table(status)) {
			err = add_table(realm, ripas->base, status);
		} else if (RMI_STATUS(status) == RMI_ERROR_RTT) {
			/* A page that the realm did not allow to change: it is told how far things went. */
			return 0;
		} else {
			return realm_refused(realm, RMI_RTT_SET_RIPAS, status);
		}
		err = err ?: breathe();
	}
	return err;
}

/* ---- Pages of the VMM -------------------------------------------------------------------------------------- */

static int map_shared(struct realm *realm, u64 ipa, struct page *page)
{
	u64 status;
	int err;

	do {
		status = rmi(NULL, RMI_RTT_MAP_UNPROTECTED, realm->rd, ipa, RTT_PAGE_LEVEL,
			     page_to_phys(page) | RMI_UNPROTECTED_NORMAL);
		if (status == RMI_SUCCESS)
			return 0;
		err = lacks_table(status) ? add_table(realm, ipa, status) :
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

int memory_share(struct realm *realm, struct realm_share *share)
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
		err = breathe();
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

int memory_unshare(struct realm *realm, struct realm_range *range)
{
	int err;

	if (!valid_range(range->base, range->top, protected_end(realm), 2 * protected_end(realm)))
		return -EINVAL;
	err = unshare(realm, range->base, range->top);
	if (!err)
		range->base = range->top;
	return err;
}

/* ---- The end ------------------------------------------------------------------------------------------------ */

static void rtt_destroy(struct realm *realm, int level)
{
	u64 ipa = 0, out[4], status;
	unsigned long refused = 0;

	while (ipa < 2 * protected_end(realm)) {
		status = rmi(out, RMI_RTT_DESTROY, realm->rd, ipa, level);
		if (status == RMI_SUCCESS) {
			taken_out(realm, out[0]);
		} else if (RMI_STATUS(status) != RMI_ERROR_RTT) {
			if (++refused > realm->granules)
				break;
			out[1] = 0;
		}
		ipa = max(ALIGN_DOWN(out[1], RTT_ENTRY_SIZE(level - 1)), ipa + RTT_ENTRY_SIZE(level - 1));
		cond_resched();
	}
}

/* Give back everything below the root tables. The realm has no RECs any more. */
void memory_release(struct realm *realm)
{
	int level;

	data_destroy(realm, 0, protected_end(realm));
	unshare(realm, protected_end(realm), 2 * protected_end(realm));
	for (level = RTT_PAGE_LEVEL; level > realm->rtt_level; level--)
		rtt_destroy(realm, level);
	granules_lost(realm->granules);
	realm->granules = 0;
}

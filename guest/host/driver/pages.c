// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "granule.h"
#include "pages.h"
#include "rmi.h"
#include "tables.h"

int pages_init_ripas(struct realm *realm, struct realm_range *range)
{
	u64 out[4], status;
	int err = 0;

	if (!valid_range(range->base, range->top, 0, protected_end(realm)))
		return -EINVAL;
	while (!err && range->base < range->top) {
		status = rmi(out, RMI_RTT_INIT_RIPAS, realm->rd, range->base, range->top);
		if (status == RMI_SUCCESS && out[0] > range->base)
			range->base = out[0];
		else if (rmi_lacks_table(status))
			err = tables_add(realm, range->base, status);
		else
			return realm_refused(realm, RMI_RTT_INIT_RIPAS, status);
		err = err ?: realm_breathe();
	}
	return err;
}

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
		err = rmi_lacks_table(status) ? tables_add(realm, ipa, status) :
						realm_refused(realm, RMI_DATA_CREATE, status);
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

int pages_data(struct realm *realm, struct realm_data *data)
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
		err = realm_breathe();
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
		if (!rmi_walk_ended(status))
			return realm_refused(realm, RMI_DATA_CREATE_UNKNOWN, status);
		if (!rmi_lacks_table(status))
			return 0; /* there is one already */
		err = tables_add(realm, ipa, status);
	} while (!err);
	return err;
}

int pages_populate(struct realm *realm, struct realm_range *range)
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
		err = realm_breathe();
	}
	if (spare)
		granule_free(spare);
	return err;
}

/*
 * Not interrupted: half of it is of no use to anyone. One that the RMM does not give back stays in the count, and the
 * next is tried: more refusals than there are granules are not about any of them.
 */
void pages_destroy(struct realm *realm, u64 base, u64 top)
{
	unsigned long refused = 0;
	u64 out[4], status;

	while (base < top) {
		status = rmi(out, RMI_DATA_DESTROY, realm->rd, base);
		if (status == RMI_SUCCESS) {
			taken_out(realm, out[0]);
		} else if (!rmi_walk_ended(status)) {
			if (++refused > realm->granules)
				break;
			out[1] = 0;
		}
		/* The RMM names the next page that is mapped, or the table's end. */
		base = max(out[1], base + PAGE_SIZE);
		cond_resched();
	}
}

int pages_set_ripas(struct realm *realm, struct realm_ripas *ripas)
{
	u64 out[4], status;
	int err = 0;

	if (!valid_range(ripas->base, ripas->top, 0, protected_end(realm)) || ripas->ripas > RIPAS_RAM ||
	    ripas->rec >= realm->num_recs)
		return -EINVAL;
	while (!err && ripas->base < ripas->top) {
		status = rmi(out, RMI_RTT_SET_RIPAS, realm->rd, realm->recs[ripas->rec]->granule, ripas->base,
			     ripas->top);
		if (status == RMI_SUCCESS && out[0] > ripas->base) {
			if (ripas->ripas == RIPAS_EMPTY)
				pages_destroy(realm, ripas->base, out[0]);
			ripas->base = out[0];
		} else if (rmi_lacks_table(status)) {
			err = tables_add(realm, ripas->base, status);
		} else if (rmi_walk_ended(status)) {
			/* A page that the realm did not allow to change: it is told how far things went. */
			return 0;
		} else {
			return realm_refused(realm, RMI_RTT_SET_RIPAS, status);
		}
		err = err ?: realm_breathe();
	}
	return err;
}

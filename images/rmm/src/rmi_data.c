/* SPDX-License-Identifier: Apache-2.0 */
/* DATA_CREATE, DATA_CREATE_UNKNOWN, DATA_DESTROY (RMM 1.0, B4.3). */
#include "arch.h"
#include "measure.h"
#include "rmi_commands.h"
#include "rmi_rtt.h"

static bool is_protected_page(const struct rd *rd, uint64_t ipa)
{
	return is_granule_aligned(ipa) && ipa < realm_protected_end(rd);
}

/* Walk to the page entry of `ipa`: 0 if data can be put there, else the error. */
static uint64_t find_vacancy(const struct realm *realm, uint64_t ipa, struct rtt_walk *walk)
{
	rtt_walk(realm, ipa, RTT_PAGE_LEVEL, walk);
	if (walk->level != RTT_PAGE_LEVEL || rtt_state(rtt_entry(walk), walk->level) != RTT_UNASSIGNED)
		return rmi_rtt_error(walk);
	return RMI_SUCCESS;
}

static void assign(const struct rtt_walk *walk, struct granule *data, enum ripas ripas)
{
	rtt_write(walk, rtt_protected(RTT_ASSIGNED, ripas, granule_address(data), walk));
	granule_get(walk->granule, 1);
	granule_unlock_as(data, GRANULE_DATA);
}

/* Copy, measure, map. `data` is locked and DELEGATED, and is either assigned or as before on return. */
static uint64_t create_measured(const struct realm *realm, struct granule *data, uint64_t ipa, uint64_t source,
				uint64_t flags)
{
	void *page = arch_granule(granule_address(data));
	struct rtt_walk walk;
	uint64_t status;

	if (realm_state(realm->rd) != REALM_NEW)
		return RMI_ERROR_REALM;
	status = find_vacancy(realm, ipa, &walk);
	if (status != RMI_SUCCESS)
		return status;
	/* What is measured is the copy: the host may write to the source at any moment. */
	if (!arch_ns_read(page, source, GRANULE_SIZE)) {
		if (!arch_wipe(granule_address(data)))
			panic("data: no memory behind a delegated granule");
		return RMI_ERROR_INPUT;
	}
	measure_data(realm, ipa, flags, page);
	assign(&walk, data, RIPAS_RAM);
	return RMI_SUCCESS;
}

uint64_t rmi_data_create(uint64_t rd, uint64_t pa, uint64_t ipa, uint64_t source, uint64_t flags)
{
	struct realm realm;
	struct granule *data = NULL;
	uint64_t status = RMI_ERROR_INPUT;

	if (!is_granule_aligned(source) || !realm_lock(rd, &realm))
		return RMI_ERROR_INPUT;
	if (is_protected_page(realm.rd, ipa))
		data = granule_find_and_lock(pa, GRANULE_DELEGATED);
	if (data != NULL) {
		status = create_measured(&realm, data, ipa, source, flags);
		if (status != RMI_SUCCESS)
			granule_unlock(data);
	}
	realm_unlock(&realm);
	return status;
}

uint64_t rmi_data_create_unknown(uint64_t rd, uint64_t pa, uint64_t ipa)
{
	struct realm realm;
	struct granule *data = NULL;
	struct rtt_walk walk;
	uint64_t status = RMI_ERROR_INPUT;

	if (!realm_lock(rd, &realm))
		return RMI_ERROR_INPUT;
	if (is_protected_page(realm.rd, ipa))
		data = granule_find_and_lock(pa, GRANULE_DELEGATED);
	if (data != NULL) {
		status = find_vacancy(&realm, ipa, &walk);
		if (status == RMI_SUCCESS)
			assign(&walk, data, rtt_ripas(rtt_entry(&walk)));
		else
			granule_unlock(data);
	}
	realm_unlock(&realm);
	return status;
}

/* The walk stands at an ASSIGNED page entry. */
static uint64_t unassign(const struct realm *realm, const struct rtt_walk *walk)
{
	uint64_t entry = rtt_entry(walk), pa = rtt_entry_address(entry);
	struct granule *data = granule_find_and_lock(pa, GRANULE_DATA);
	enum ripas ripas = rtt_ripas(entry);

	if (data == NULL)
		panic("data: entry leads to a granule that is no data");
	/* Content is lost: a realm must be able to see that its RAM is no longer what it was (A5.2). */
	if (ripas == RIPAS_RAM)
		ripas = RIPAS_DESTROYED;
	rtt_replace(realm, walk, rtt_protected(RTT_UNASSIGNED, ripas, 0, walk));
	granule_put(walk->granule, 1);
	granule_release(data);
	return pa;
}

uint64_t rmi_data_destroy(uint64_t rd, uint64_t ipa, struct out_2 *out)
{
	struct realm realm;
	struct rtt_walk walk;
	uint64_t status = RMI_ERROR_INPUT;

	if (!realm_lock(rd, &realm))
		return RMI_ERROR_INPUT;
	if (is_protected_page(realm.rd, ipa)) {
		rtt_walk(&realm, ipa, RTT_PAGE_LEVEL, &walk);
		status = rmi_rtt_error(&walk);
		if (walk.level == RTT_PAGE_LEVEL && rtt_state(rtt_entry(&walk), walk.level) == RTT_ASSIGNED) {
			out->x1 = unassign(&realm, &walk);
			status = RMI_SUCCESS;
		}
		out->x2 = rtt_next_live(&walk, ipa);
	}
	realm_unlock(&realm);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* RTT_INIT_RIPAS, RTT_SET_RIPAS (RMM 1.0, B4.3): what is behind an address, as the realm may rely on it. */
#include "arch.h"
#include "measure.h"
#include "rec.h"
#include "rmi_commands.h"
#include "rmi_rtt.h"

static bool valid_range(const struct rd *rd, uint64_t base, uint64_t top)
{
	return is_granule_aligned(base | top) && base < top && top <= realm_protected_end(rd);
}

/* Entries of one table from the walk's on, as long as they are UNASSIGNED and end at or below `top`. Returns how far it
 * got. */
static uint64_t init_entries(const struct realm *realm, struct rtt_walk *walk, uint64_t base, uint64_t top)
{
	uint64_t span = rtt_span(walk->level);

	for (; walk->index < RTT_ENTRIES && span <= top - base; walk->index++, base += span) {
		if (rtt_state(rtt_entry(walk), walk->level) != RTT_UNASSIGNED)
			break;
		rtt_write(walk, rtt_protected(RTT_UNASSIGNED, RIPAS_RAM, 0, walk));
		measure_ripas(realm, base, base + span);
	}
	return base;
}

uint64_t rmi_rtt_init_ripas(uint64_t rd, uint64_t base, uint64_t top, struct out_1 *out)
{
	struct realm realm;
	struct rtt_walk walk;
	uint64_t status = RMI_ERROR_INPUT, reached;

	if (!realm_lock(rd, &realm))
		return RMI_ERROR_INPUT;
	if (!valid_range(realm.rd, base, top))
		goto unlock;
	status = RMI_ERROR_REALM;
	if (realm_state(realm.rd) != REALM_NEW)
		goto unlock;
	rtt_walk(&realm, base, RTT_PAGE_LEVEL, &walk);
	status = rmi_rtt_error(&walk);
	if (base % rtt_span(walk.level) != 0)
		goto unlock;
	reached = init_entries(&realm, &walk, base, top);
	if (reached != base) {
		out->x1 = reached;
		status = RMI_SUCCESS;
	}
unlock:
	realm_unlock(&realm);
	return status;
}

/* Change one entry's RIPAS; false if the realm did not agree to that (DESTROYED without its flag). */
static bool set_entry(const struct realm *realm, const struct rtt_walk *walk, enum ripas ripas, bool change_destroyed)
{
	uint64_t entry = rtt_entry(walk), next;
	enum ripas old = rtt_ripas(entry);

	if (old == RIPAS_DESTROYED && !change_destroyed)
		return false;
	if (old != ripas) {
		next = rtt_protected(rtt_state(entry, walk->level), ripas, rtt_entry_address(entry), walk);
		rtt_replace(realm, walk, next);
	}
	return true;
}

/* As init_entries(), for what the realm asked for. */
static uint64_t set_entries(const struct realm *realm, struct rtt_walk *walk, const struct rec *rec, uint64_t base,
			    uint64_t top)
{
	uint64_t span = rtt_span(walk->level);

	for (; walk->index < RTT_ENTRIES && span <= top - base; walk->index++, base += span) {
		if (rtt_state(rtt_entry(walk), walk->level) == RTT_TABLE)
			break;
		if (!set_entry(realm, walk, rec->ripas.value, rec->ripas.change_destroyed))
			break;
	}
	return base;
}

static uint64_t set_range(const struct realm *realm, struct rec *rec, uint64_t base, uint64_t top, uint64_t *reached)
{
	struct rtt_walk walk;
	uint64_t end;

	if (!valid_range(realm->rd, base, top) || base != rec->ripas.address || top > rec->ripas.top)
		return RMI_ERROR_INPUT;
	rtt_walk(realm, base, RTT_PAGE_LEVEL, &walk);
	if (base % rtt_span(walk.level) != 0)
		return rmi_rtt_error(&walk);
	end = set_entries(realm, &walk, rec, base, top);
	if (end == base)
		return rmi_rtt_error(&walk);
	rec->ripas.address = end;
	*reached = end;
	return RMI_SUCCESS;
}

uint64_t rmi_rtt_set_ripas(uint64_t rd, uint64_t rec_address, uint64_t base, uint64_t top, struct out_1 *out)
{
	struct realm realm;
	struct granule *granule;
	struct rec *rec;
	uint64_t status = RMI_ERROR_INPUT;

	if (!realm_lock(rd, &realm))
		return RMI_ERROR_INPUT;
	granule = granule_find_and_lock(rec_address, GRANULE_REC);
	if (granule != NULL) {
		rec = arch_granule(rec_address);
		status = RMI_ERROR_REC;
		if (!rec->running && rec->realm == realm.granule)
			status = set_range(&realm, rec, base, top, &out->x1);
		granule_unlock(granule);
	}
	realm_unlock(&realm);
	return status;
}

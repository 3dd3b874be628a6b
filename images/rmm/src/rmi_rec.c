/* SPDX-License-Identifier: Apache-2.0 */
/* REC_CREATE, REC_DESTROY (RMM 1.0, B4.3). */
#include "arch.h"
#include "cpu.h"
#include "measure.h"
#include "rec.h"
#include "rmi.h"
#include "rmi_commands.h"
#include "rmi_pages.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);

/* RmiRecMpidr: Aff0 in 3:0, Aff1 15:8, Aff2 23:16, Aff3 31:24 (A2.3). The rest is reserved, which is no failure (B4.3.12). */
#define MPIDR_FIELDS (MASK(31, 8) | MASK(3, 0))

static uint64_t mpidr_index(uint64_t mpidr)
{
	return (mpidr & 0xf) | (mpidr >> 8 & 0xffffff) << 4;
}

/* `granule` is DELEGATED, hence zeroed, and locked. */
static void fill_rec(const struct realm *realm, struct granule *granule, const struct rec_params *params)
{
	struct rec *rec = arch_granule(granule_address(granule));

	memcpy(rec->gprs, params->gprs, sizeof(params->gprs));
	rec->pc = params->pc;
	rec->pstate = PSTATE_START;
	rec->realm = realm->granule;
	rec->mpidr = params->mpidr & MPIDR_FIELDS;
	rec->runnable = (params->flags & REC_RUNNABLE) != 0;
	arch_rec_reset(rec);
	granule_get(realm->granule, 1);
	realm->rd->next_rec++;
	if (rec->runnable)
		measure_rec(realm, params);
}

static uint64_t create(const struct realm *realm, uint64_t pa, const struct rec_params *params)
{
	struct granule *granule;

	if (realm_state(realm->rd) != REALM_NEW || granule_references(realm->granule) >= MAX_RECS)
		return granule_find(pa) == NULL ? RMI_ERROR_INPUT : RMI_ERROR_REALM;
	if (mpidr_index(params->mpidr) != realm->rd->next_rec)
		return RMI_ERROR_INPUT;
	granule = granule_find_and_lock(pa, GRANULE_DELEGATED);
	if (granule == NULL)
		return RMI_ERROR_INPUT;
	fill_rec(realm, granule, params);
	granule_unlock_as(granule, GRANULE_REC);
	return RMI_SUCCESS;
}

uint64_t rmi_rec_create(uint64_t rd, uint64_t pa, uint64_t params_address)
{
	struct rec_params *params = (struct rec_params *)cpu_this()->in;
	struct realm realm;
	uint64_t status;

	if (!is_granule_aligned(params_address) || !arch_ns_read(params, params_address, sizeof(*params)) ||
	    params->num_aux != REC_AUX_GRANULES || !realm_lock(rd, &realm))
		return RMI_ERROR_INPUT;
	status = create(&realm, pa, params);
	realm_unlock(&realm);
	return status;
}

uint64_t rmi_rec_destroy(uint64_t pa)
{
	struct granule *granule = granule_find_and_lock(pa, GRANULE_REC);
	struct granule *realm;
	struct rec *rec;

	if (granule == NULL)
		return RMI_ERROR_INPUT;
	rec = arch_granule(pa);
	if (rec->running) {
		granule_unlock(granule);
		return RMI_ERROR_REC;
	}
	realm = rec->realm;
	token_end(&rec->token);
	granule_release(granule);
	/* Last: the RD may go as soon as nothing refers to it. */
	granule_put(realm, 1);
	return RMI_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each page of its RAM is its own or, once it has given it up (RIPAS EMPTY), one that it
 * shares, never both: a realm takes no more memory than it was given.
 */
#include "realm_memory.h"

#include <errno.h>
#include <sys/mman.h>

#include "error.h"
#include "realm.h"
#include "rmi_numbers.h"

/* How much a missing page brings along, aligned to its size: 16 pages cost one exit instead of 16, and a guest that
 * touches one page rarely leaves its neighbours alone. */
#define CHUNK_BYTES UINT64_C(0x10000)

int realm_populate_around(struct vm *vm, uint64_t ipa)
{
	struct realm_state *realm = vm->state;
	uint64_t base, top;
	int result = 0;

	(void)pthread_mutex_lock(&realm->memory_lock);
	/* One that was given up since then is no longer missing: the RMM tells the realm when it is entered again. */
	if (page_set_run(&realm->given_up, ipa, false, CHUNK_BYTES, &base, &top))
		result = realm_call_range(realm, REALM_POPULATE, base, top, "memory");
	(void)pthread_mutex_unlock(&realm->memory_lock);
	return result;
}

/* Under the lock. */
static int share(struct vm *vm, uint64_t base, uint64_t top)
{
	struct realm_state *realm = vm->state;
	struct realm_share range;

	realm->shared_low = base < realm->shared_low ? base : realm->shared_low;
	realm->shared_high = top > realm->shared_high ? top : realm->shared_high;
	/* Pages that are shared already are left alone: after a signal it starts over. */
	do {
		range = (struct realm_share){ .ipa = shared_ipa(base), .size = top - base,
					      .source = (uint64_t)(uintptr_t)(vm->ram + (base - RAM_BASE)) };
		if (realm_call(realm, REALM_SHARE, &range, "shared memory") == 0)
			return 0;
	} while (errno == EINTR);
	return -1;
}

int realm_share_around(struct vm *vm, uint64_t ipa)
{
	struct realm_state *realm = vm->state;
	uint64_t base, top;
	int result = 1;

	(void)pthread_mutex_lock(&realm->memory_lock);
	if (page_set_run(&realm->given_up, ipa, true, CHUNK_BYTES, &base, &top))
		result = share(vm, base, top);
	(void)pthread_mutex_unlock(&realm->memory_lock);
	return result;
}

bool realm_shares(void *context, uint64_t address, uint64_t size)
{
	struct vm *vm = context;
	struct realm_state *realm = vm->state;
	bool result;

	if (address < IPA_UNPROTECTED)
		return false;
	(void)pthread_mutex_lock(&realm->memory_lock);
	result = page_set_has(&realm->given_up, address - IPA_UNPROTECTED, size);
	(void)pthread_mutex_unlock(&realm->memory_lock);
	return result;
}

/* Take back what is shared of [base, top); the pages are free again. Under the lock. */
static int take_back(struct vm *vm, uint64_t base, uint64_t top)
{
	struct realm_state *realm = vm->state;

	base = base > realm->shared_low ? base : realm->shared_low;
	top = top < realm->shared_high ? top : realm->shared_high;
	if (base >= top)
		return 0;
	if (realm_call_range(realm, REALM_UNSHARE, shared_ipa(base), shared_ipa(top), "shared memory") < 0)
		return -1;
	return madvise(vm->ram + (base - RAM_BASE), top - base, MADV_DONTNEED) < 0 ? fail_errno("madvise") : 0;
}

/* Under the lock. The RMM stops at a page that the realm did not allow to change, and tells the realm how far it got. */
static int set_ripas(struct vm *vm, struct realm_ripas *change)
{
	struct realm_state *realm = vm->state;
	uint64_t from;
	int result;

	while (change->base < change->top && !vm_ending(vm)) {
		from = change->base;
		result = realm_call(realm, REALM_SET_RIPAS, change, "change of RIPAS");
		if (result < 0 && errno != EINTR)
			return -1;
		if (change->ripas == RIPAS_EMPTY)
			page_set_change(&realm->given_up, from, change->base, true);
		if (result == 0 && change->base == from)
			break;
	}
	return 0;
}

int realm_change_ripas(struct vm *vm, unsigned int rec, uint64_t base, uint64_t top, unsigned int ripas)
{
	struct realm_state *realm = vm->state;
	struct realm_ripas change = { .rec = rec, .ripas = ripas, .base = base, .top = top };
	int result = 0;

	/* Devices that look at memory ask realm_shares(): their lock comes first. A page that one still touched would come back
	 * behind take_back(), while the realm gets one of its own. */
	if (ripas == RIPAS_RAM)
		devices_withdraw(&vm->devices, base, top);
	(void)pthread_mutex_lock(&realm->memory_lock);
	if (ripas == RIPAS_RAM) {
		page_set_change(&realm->given_up, base, top, false);
		devices_resume(&vm->devices);
		result = take_back(vm, base, top);
	}
	if (result == 0)
		result = set_ripas(vm, &change);
	(void)pthread_mutex_unlock(&realm->memory_lock);
	return result;
}

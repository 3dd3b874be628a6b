/* SPDX-License-Identifier: Apache-2.0 */
/* Creation, memory, end; what happens in between is in realm_vcpu.c and realm_memory.c. */
#include "backend_realm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "realm.h"
#include "realm_memory.h"
#include "realm_params.h"
#include "realm_vcpu.h"
#include "rmi_numbers.h"

/* Set-up goes by this much, so that the process can be stopped in between. */
#define STEP_BYTES (4 * MIB)

/* ---- Creation ----------------------------------------------------------------------------------------------- */

static uint64_t counter_frequency(void)
{
	uint64_t hz;

	__asm__("mrs %0, cntfrq_el0" : "=r"(hz));
	return hz;
}

static void init_locks(struct realm_state *realm)
{
	pthread_condattr_t attributes;
	unsigned int i;

	(void)pthread_mutex_init(&realm->lock, NULL);
	(void)pthread_mutex_init(&realm->memory_lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	for (i = 0; i < MAX_VCPUS; i++)
		(void)pthread_cond_init(&realm->vcpus[i].wake, &attributes);
	(void)pthread_condattr_destroy(&attributes);
}

static int realm_create(struct vm *vm)
{
	struct realm_state *realm = calloc(1, sizeof(*realm));
	struct realm_create create = realm_params();
	struct realm_info info;

	if (realm == NULL)
		return fail("no memory");
	vm->state = realm;
	init_locks(realm);
	realm->counter_hz = counter_frequency();
	realm->shared_low = UINT64_MAX;
	realm->fd = -1;
	if (page_set_init(&realm->given_up, vm->content->layout.ram_bytes) < 0)
		return fail("no memory");
	realm->fd = open("/dev/realm", O_RDWR | O_CLOEXEC);
	if (realm->fd < 0)
		return fail_errno("/dev/realm");
	if (realm_call(realm, REALM_INFO, &info, "information") < 0)
		return -1;
	if (info.abi != REALM_ABI)
		return fail("/dev/realm: ABI %u, expected %d", info.abi, REALM_ABI);
	if (realm_params_check(info.features0) < 0)
		return -1;
	gic_init(&realm->gic, vm->options->vcpus, RMI_FEATURE_GIC_LRS(info.features0));
	return realm_call(realm, REALM_CREATE, &create, "creation");
}

static int init_ripas(void *context, uint64_t base, uint64_t top)
{
	struct vm *vm = context;

	return realm_call_range(vm->state, REALM_INIT_RIPAS, base, top, "RIPAS of the memory");
}

static int add_data(void *context, uint64_t ipa, const void *bytes, uint64_t size)
{
	struct vm *vm = context;
	uint64_t done = 0, count;

	while (done < size) {
		struct realm_data data = { .ipa = ipa + done, .source = (uint64_t)(uintptr_t)bytes + done,
					   .flags = REALM_PARAMS_DATA_FLAGS };

		if (vm_interrupted())
			return fail("stopped");
		count = size - done < STEP_BYTES ? size - done : STEP_BYTES;
		data.size = count;
		if (realm_call(vm->state, REALM_DATA, &data, "measured data") < 0 && errno != EINTR)
			return -1;
		/* The driver counts `size` down. */
		done += count - data.size;
	}
	return 0;
}

static int create_rec(void *context, unsigned int index, bool runnable, uint64_t pc, uint64_t x0)
{
	struct vm *vm = context;
	struct realm_state *realm = vm->state;
	struct realm_vcpu *vcpu = &realm->vcpus[index];
	struct realm_rec_create create = realm_params_rec(index, runnable, pc, x0);
	void *pages;

	if (realm_call(realm, REALM_REC_CREATE, &create, "vCPU") < 0)
		return -1;
	pages = mmap(NULL, REALM_REC_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, realm->fd,
		     (off_t)REALM_REC_OFFSET(index));
	if (pages == MAP_FAILED)
		return fail_errno("realm: pages of vCPU %u", index);
	vcpu->run = pages;
	vcpu->control = (struct realm_control *)((char *)pages + PAGE_BYTES);
	vcpu->power.off = !runnable;
	return 0;
}

static int activate(void *context)
{
	struct vm *vm = context;

	return realm_call(vm->state, REALM_ACTIVATE, NULL, "activation");
}

static int realm_pretouch(struct vm *vm)
{
	uint64_t base = RAM_BASE, end = RAM_BASE + vm->content->layout.ram_bytes, top;

	for (; base < end; base = top) {
		top = end - base < STEP_BYTES ? end : base + STEP_BYTES;
		if (vm_interrupted())
			return fail("stopped");
		if (realm_call_range(vm->state, REALM_POPULATE, base, top, "memory") < 0)
			return -1;
	}
	return 0;
}

/* ---- The end ------------------------------------------------------------------------------------------------ */

static void realm_report(struct vm *vm, FILE *out)
{
	const struct realm_state *realm = vm->state;
	unsigned long long entries = 0, interrupts = 0;
	unsigned int i;

	for (i = 0; i < vm->options->vcpus; i++) {
		if (realm->vcpus[i].control == NULL)
			continue;
		entries += realm->vcpus[i].control->entries;
		interrupts += realm->vcpus[i].control->interrupts;
	}
	(void)fprintf(out, ",\n  \"rec_entries\": %llu,\n  \"rec_reentered_by_driver\": %llu", entries, interrupts);
}

static void realm_destroy(struct vm *vm)
{
	struct realm_state *realm = vm->state;
	unsigned int i;

	if (realm == NULL)
		return;
	for (i = 0; i < MAX_VCPUS; i++)
		if (realm->vcpus[i].run != NULL)
			(void)munmap(realm->vcpus[i].run, REALM_REC_SIZE);
	/* The driver takes the realm apart, here and now: nothing else holds the file any more. */
	if (realm->fd >= 0)
		(void)close(realm->fd);
	page_set_free(&realm->given_up);
	free(realm);
	vm->state = NULL;
}

static const unsigned long requests[] = { REALM_REC_ENTER, REALM_POPULATE, REALM_SHARE, REALM_UNSHARE, REALM_SET_RIPAS,
					  REALM_PSCI, REALM_LAST, 0 };

const struct backend backend_realm = {
	.name = "realm",
	.create = realm_create,
	.steps = { .init_ripas = init_ripas, .data = add_data, .rec = create_rec, .activate = activate },
	.pretouch = realm_pretouch,
	.run = realm_vcpu_run,
	.answer = realm_vcpu_answer,
	.abort = realm_vcpu_abort,
	.set_irq = realm_set_irq,
	.shares = realm_shares,
	.kick = realm_vcpu_kick,
	.report = realm_report,
	.destroy = realm_destroy,
	.requests = requests,
};

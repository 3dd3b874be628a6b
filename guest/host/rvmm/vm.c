/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "vm.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "marks.h"

/* ---- Ending ------------------------------------------------------------------------------------------------ */

void vm_wake(struct vm *vm)
{
	uint64_t one = 1;

	/* An eventfd takes it unless it is full, and then it wakes anyway. */
	if (write(vm->event_fd, &one, sizeof(one)) < 0)
		return;
}

void vm_end(struct vm *vm, enum outcome outcome, const char *error)
{
	unsigned int i;

	(void)pthread_mutex_lock(&vm->end_lock);
	if (vm->outcome == OUTCOME_NONE) {
		vm->outcome = outcome;
		(void)snprintf(vm->error, sizeof(vm->error), "%s", error);
	}
	(void)pthread_mutex_unlock(&vm->end_lock);
	atomic_store(&vm->ending, true);
	for (i = 0; i < vm->options->vcpus; i++)
		if (vm->vcpus[i].started)
			vm->backend->kick(&vm->vcpus[i]);
	vm_wake(vm);
}

bool vm_ending(struct vm *vm)
{
	return atomic_load(&vm->ending);
}

bool vm_interrupted(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1 ||
					     sigismember(&pending, SIGHUP) == 1);
}

/* ---- Devices ----------------------------------------------------------------------------------------------- */

static int set_irq(void *context, unsigned int spi, bool level)
{
	struct vm *vm = context;

	return vm->backend->set_irq(vm, spi, level);
}

static void wake(void *context)
{
	vm_wake(context);
}

static void failed(void *context)
{
	vm_end(context, OUTCOME_ERROR, failure());
}

static int make_devices(struct vm *vm, struct console *console)
{
	/* Devices see of a realm what it shares, and nothing else: its addresses are those of the other half. */
	const struct devices_host host = {
		.ram = vm->ram,
		.base = RAM_BASE | (vm->options->world == WORLD_REALM ? IPA_UNPROTECTED : 0),
		.bytes = vm->content->layout.ram_bytes,
		.console = console, .gate = &vm->gate, .stats = &vm->stats, .context = vm,
		.set_irq = set_irq, .shares = vm->backend->shares, .wake = wake, .failed = failed,
	};

	return devices_init(&vm->devices, &host, vm->options);
}

static int handle_mmio(struct vcpu *vcpu, const struct vm_exit *exit)
{
	struct vm *vm = vcpu->vm;
	uint64_t value = exit->write ? exit->value : 0;
	int result = devices_access(&vm->devices, exit->address, exit->bytes, exit->write, &value);

	if (result < 0)
		return -1;
	if (result == 0) {
		stat_add(&vm->stats, STAT_ABORT);
		return vm->backend->abort(vcpu);
	}
	stat_add(&vm->stats, exit->write ? STAT_MMIO_WRITE : STAT_MMIO_READ);
	vm->backend->answer(vcpu, exit->write ? 0 : value);
	return 0;
}

/* ---- vCPUs ------------------------------------------------------------------------------------------------- */

static void ignore(int number)
{
	(void)number;
}

/* The kick alone may interrupt a vCPU thread; all other signals are the main thread's. */
static void prepare_thread(void)
{
	sigset_t kick;

	(void)sigemptyset(&kick);
	(void)sigaddset(&kick, KICK_SIGNAL);
	(void)pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
}

static int handle_exit(struct vcpu *vcpu, const struct vm_exit *exit)
{
	switch (exit->kind) {
	case VM_EXIT_MMIO:
		return handle_mmio(vcpu, exit);
	case VM_EXIT_OFF:
		vm_end(vcpu->vm, OUTCOME_OFF, "");
		return 0;
	case VM_EXIT_RESET:
		vm_end(vcpu->vm, OUTCOME_RESET, "");
		return 0;
	case VM_EXIT_AGAIN:
		break;
	}
	return 0;
}

static void *run_vcpu(void *argument)
{
	struct vcpu *vcpu = argument;
	struct vm *vm = vcpu->vm;
	struct vm_exit exit = { .kind = VM_EXIT_AGAIN };

	prepare_thread();
	gate_pass(&vm->gate);
	if (vcpu->index == 0)
		MARK_BEGIN(ORCH_EVENT_BOOT, vm->options->run_id);
	while (!vm_ending(vm)) {
		if (vm->backend->run(vcpu, &exit) < 0 || handle_exit(vcpu, &exit) < 0) {
			vm_end(vm, OUTCOME_ERROR, failure());
			break;
		}
	}
	return NULL;
}

static int start_vcpu(struct vm *vm, struct vcpu *vcpu)
{
	pthread_attr_t attributes;
	cpu_set_t cpus;
	int error;

	if (pthread_attr_init(&attributes) != 0)
		return fail("no memory for a thread");
	if (vm->options->cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET((size_t)vm->options->cpu, &cpus);
		(void)pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus);
	}
	error = pthread_create(&vcpu->thread, &attributes, run_vcpu, vcpu);
	(void)pthread_attr_destroy(&attributes);
	if (error == EINVAL && vm->options->cpu >= 0)
		return fail("--cpu: the host has no CPU %d", vm->options->cpu);
	if (error != 0)
		return fail("thread of vCPU %u: %s", vcpu->index, strerror(error));
	vcpu->started = true;
	/* One that started before may have ended the guest meanwhile, and kicked only whom it knew. */
	if (vm_ending(vm))
		vm->backend->kick(vcpu);
	return 0;
}

int vm_start(struct vm *vm)
{
	struct sigaction action = { .sa_handler = ignore };
	unsigned int i;
	int workers;

	if (sigaction(KICK_SIGNAL, &action, NULL) < 0)
		return fail_errno("sigaction");
	for (i = 0; i < vm->options->vcpus; i++)
		if (start_vcpu(vm, &vm->vcpus[i]) < 0)
			return -1;
	workers = devices_start(&vm->devices);
	if (workers < 0)
		return -1;
	gate_await(&vm->gate, vm->options->vcpus + (unsigned int)workers);
	return 0;
}

void vm_release(struct vm *vm)
{
	gate_open(&vm->gate);
}

/* ---- Making and unmaking ----------------------------------------------------------------------------------- */

/* Microseconds since *last, which moves to now. */
static uint64_t lap(uint64_t *last)
{
	uint64_t before = *last;
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	*last = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	return *last - before;
}

static int populate(struct vm *vm)
{
	const struct population *population = &vm->content->population;
	const struct population_steps *steps = &vm->backend->steps;
	uint64_t last = 0;

	(void)lap(&last);
	if (vm->backend->create(vm) < 0)
		return -1;
	vm->time_us.create = lap(&last);
	if (population_content(population, steps, vm) < 0)
		return -1;
	vm->time_us.populate = lap(&last);
	if (population_start(population, steps, vm) < 0)
		return -1;
	vm->time_us.activate = lap(&last);
	if (vm->options->pretouch && vm->backend->pretouch(vm) < 0)
		return -1;
	vm->time_us.pretouch = vm->options->pretouch ? lap(&last) : 0;
	return 0;
}

int vm_create(struct vm *vm, const struct vm_parts *parts)
{
	uint64_t ram_bytes = parts->content->layout.ram_bytes;
	unsigned int i;
	void *ram;
	int result;

	memset(vm, 0, sizeof(*vm));
	vm->backend = parts->backend;
	vm->options = parts->options;
	vm->content = parts->content;
	vm->event_fd = parts->event_fd;
	(void)pthread_mutex_init(&vm->end_lock, NULL);
	gate_init(&vm->gate);
	for (i = 0; i < MAX_VCPUS; i++)
		vm->vcpus[i] = (struct vcpu){ .vm = vm, .index = i };
	ram = mmap(NULL, ram_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram == MAP_FAILED)
		return fail_errno("no memory for the guest");
	vm->ram = ram;
	if (make_devices(vm, parts->console) < 0)
		return -1;
	MARK_BEGIN(ORCH_EVENT_REALM_CREATE, vm->options->run_id);
	result = populate(vm);
	MARK_END(ORCH_EVENT_REALM_CREATE, vm->options->run_id);
	return result;
}

void vm_join(struct vm *vm)
{
	unsigned int i;

	/* If the set-up failed, they wait there still. */
	gate_open(&vm->gate);
	devices_stop(&vm->devices);
	for (i = 0; i < MAX_VCPUS; i++)
		if (vm->vcpus[i].started)
			(void)pthread_join(vm->vcpus[i].thread, NULL);
}

void vm_destroy(struct vm *vm)
{
	/* At once: a realm takes a while, and the next guest may have the interface or the disk meanwhile. */
	devices_close(&vm->devices);
	MARK_BEGIN(ORCH_EVENT_TEARDOWN, vm->options->run_id);
	vm->backend->destroy(vm);
	if (vm->ram != NULL)
		(void)munmap(vm->ram, vm->content->layout.ram_bytes);
	MARK_END(ORCH_EVENT_TEARDOWN, vm->options->run_id);
}

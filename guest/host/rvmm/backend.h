/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a world is to the rest of the VMM. A back end brings the CPU side of a guest with it: memory, vCPUs, PSCI, timers
 * and the interrupt controller, in the kernel (KVM) or in user space (realms). Devices and everything else are above it,
 * once for both.
 *
 * Functions return 0, or -1 with failure(). All but run, answer, abort and set_irq are called by one thread.
 */
#ifndef RVMM_BACKEND_H
#define RVMM_BACKEND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "population.h"
#include "stats.h"

struct vm;
struct vcpu;

enum vm_exit_kind {
	VM_EXIT_AGAIN,   /* interrupted, or handled by the back end */
	VM_EXIT_MMIO,    /* the rest of the structure says which; answer() or abort() it */
	VM_EXIT_OFF,
	VM_EXIT_RESET,
};

struct vm_exit {
	enum vm_exit_kind kind;
	uint64_t address;    /* IPA, without the shared bit */
	uint64_t value;      /* written */
	unsigned int bytes;  /* 1, 2, 4, 8 */
	bool write;
};

struct backend {
	const char *name;
	/* The machine without content; vm->content and vm->ram are there. */
	int (*create)(struct vm *vm);
	/* Its content, in the canonical order; then vCPUs can run. */
	struct population_steps steps;
	/* Give it all its memory now. */
	int (*pretouch)(struct vm *vm);
	/* Run until something is to be done here; by the vCPU's own thread. */
	int (*run)(struct vcpu *vcpu, struct vm_exit *exit);
	/* The MMIO exit was handled: `value` is what a load gets. */
	void (*answer)(struct vcpu *vcpu, uint64_t value);
	/* Nothing is at that address: the guest gets a synchronous external abort. */
	int (*abort)(struct vcpu *vcpu);
	/* Level of SPI `spi`; from any thread. */
	int (*set_irq)(struct vm *vm, unsigned int spi, bool level);
	/* May devices touch these addresses, which are within what they see of the RAM? `context` is the VM; from any
	 * thread. NULL: all of them. */
	bool (*shares)(void *context, uint64_t address, uint64_t size);
	/* Make run() return soon; from any thread. */
	void (*kick)(struct vcpu *vcpu);
	/* Add fields to the statistics, each ",\n  \"name\": value". */
	void (*report)(struct vm *vm, FILE *out);
	/* Undo all of it, however far it came; vCPU threads are gone. */
	void (*destroy)(struct vm *vm);
	/* The ioctl requests of run and what follows it in this list; 0 is the last. */
	const unsigned long *requests;
};

#endif

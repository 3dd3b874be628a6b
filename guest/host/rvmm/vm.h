/* SPDX-License-Identifier: Apache-2.0 */
/* One guest: its vCPU threads, what their exits are about, and how it ends. */
#ifndef RVMM_VM_H
#define RVMM_VM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend.h"
#include "content.h"
#include "devices.h"
#include "gate.h"
#include "options.h"
#include "stats.h"

/* Interrupts a vCPU thread's system call; its handler does nothing. */
#define KICK_SIGNAL SIGUSR2

enum outcome { OUTCOME_NONE, OUTCOME_OFF, OUTCOME_RESET, OUTCOME_STOPPED, OUTCOME_ERROR };

struct vcpu {
	struct vm *vm;
	unsigned int index;
	pthread_t thread;
	atomic_bool started;
};

struct vm {
	const struct backend *backend;
	const struct options *options;
	struct content *content;
	uint8_t *ram;                 /* the VMM's memory: all of a normal VM's, what a realm shares of its own */
	void *state;                  /* the back end's */
	struct vcpu vcpus[MAX_VCPUS];
	struct gate gate;             /* threads wait at it until the guest may run */
	struct stats stats;
	struct {
		uint64_t create, populate, pretouch, activate;
	} time_us;                    /* wall time of the parts of the set-up; 0 where there was none */

	struct devices devices;
	int event_fd;                 /* wakes the main thread: ended, or a device takes input again */

	atomic_bool ending;
	pthread_mutex_t end_lock;     /* protects: */
	enum outcome outcome;
	char error[512];
};

/* What a guest is made of. */
struct vm_parts {
	const struct backend *backend;
	const struct options *options;
	struct content *content;
	struct console *console;
	int event_fd;
};

/* Make the guest; -1 with failure(). vm_destroy() in both cases. */
int vm_create(struct vm *vm, const struct vm_parts *parts);

/* Make the vCPU threads; when this returns, all of them wait for vm_release(). */
int vm_start(struct vm *vm);
void vm_release(struct vm *vm);

/* Note how it ends (the first word counts) and stop all vCPUs. From any thread. */
void vm_end(struct vm *vm, enum outcome outcome, const char *error);
bool vm_ending(struct vm *vm);

/* The main thread looks at everything again. From any thread. */
void vm_wake(struct vm *vm);

/* Has the process been told to end? Long set-ups ask. */
bool vm_interrupted(void);

/* Wait for all threads: nothing changes any more. */
void vm_join(struct vm *vm);

/* Take the guest apart; its threads are gone. */
void vm_destroy(struct vm *vm);

#endif

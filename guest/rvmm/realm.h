/* SPDX-License-Identifier: Apache-2.0 */
/* The realm back end: backend_realm.c makes it and its memory, realm_vcpu.c runs it. */
#ifndef RVMM_REALM_H
#define RVMM_REALM_H

#include <pthread.h>

#include "gic.h"
#include "realm_ioctl.h"
#include "rec_run.h"
#include "timer.h"
#include "vm.h"

struct realm_vcpu {
	struct rec_run *run;            /* shared with driver and RMM: read once, believe nothing */
	struct realm_control *control;
	uint64_t flags, gpr0;           /* of the next entry: the answer to the last exit */
	struct timer cntv, cntp;        /* as of the last exit */
	bool off;                       /* PSCI; its own thread's */
	bool start;                     /* CPU_ON was called for it; under the lock */
	pthread_cond_t wake;            /* something was done for a vCPU that waits */
};

struct realm_state {
	int fd;
	uint64_t counter_hz;
	pthread_mutex_t lock;           /* protects gic, start and shared_*, and is what `wake` goes with */
	struct gic gic;
	uint64_t shared_low, shared_high; /* IPAs that may be shared lie in between */
	struct realm_vcpu vcpus[MAX_VCPUS];
};

/* -1, with errno and what the RMM said in failure(). `what` names the step. */
int realm_failed(const struct realm_state *realm, const char *what);

/* ioctl(); 0, or realm_failed(). */
int realm_call(const struct realm_state *realm, unsigned long request, void *argument, const char *what);

/* Memory at run time; from any vCPU thread. */
int realm_populate_around(struct vm *vm, uint64_t ipa);
int realm_share_around(struct vm *vm, uint64_t ipa);
int realm_change_ripas(struct vm *vm, unsigned int rec, uint64_t base, uint64_t top, unsigned int ripas);

/* The run, answer, abort, set_irq and kick of the back end. */
int realm_vcpu_run(struct vcpu *vcpu, struct vm_exit *exit);
void realm_vcpu_answer(struct vcpu *vcpu, uint64_t value);
int realm_vcpu_abort(struct vcpu *vcpu);
int realm_set_irq(struct vm *vm, unsigned int spi, bool level);
void realm_vcpu_kick(struct vcpu *vcpu);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The realm back end: backend_realm.c makes it and its memory, realm_vcpu.c runs it. */
#ifndef RVMM_REALM_H
#define RVMM_REALM_H

#include <pthread.h>

#include "gic.h"
#include "page_set.h"
#include "power.h"
#include "realm_ioctl.h"
#include "rec_run.h"
#include "timer.h"
#include "vm.h"

struct realm_vcpu {
	struct rec_run *run;            /* shared with driver and RMM: read once, believe nothing */
	struct realm_control *control;
	uint64_t flags, gpr0;           /* of the next entry: the answer to the last exit */
	struct timer cntv, cntp;        /* as of the last exit */
	struct power power;             /* PSCI; `start` under the lock, the rest its own thread's */
	pthread_cond_t wake;            /* something was done for a vCPU that waits */
};

struct realm_state {
	int fd;
	uint64_t counter_hz;
	pthread_mutex_t lock;           /* protects gic and power, and is what `wake` goes with */
	struct gic gic;
	pthread_mutex_t memory_lock;    /* held through changes of the realm's memory; protects: */
	struct page_set given_up;       /* pages with RIPAS EMPTY: the realm may share them, and has none of its own there */
	uint64_t shared_low, shared_high; /* IPAs that may be shared lie in between */
	struct realm_vcpu vcpus[MAX_VCPUS];
};

/* -1, with errno and what the RMM said in failure(). `what` names the step. */
int realm_failed(const struct realm_state *realm, const char *what);

/* ioctl(); 0, or realm_failed(). */
int realm_call(const struct realm_state *realm, unsigned long request, void *argument, const char *what);

/* The same for a range that moves on, until it is done: signals end an ioctl early. */
int realm_call_range(const struct realm_state *realm, unsigned long request, uint64_t base, uint64_t top, const char *what);

/* Memory at run time; from any vCPU thread. Sharing gives 1 if the realm has not given up that page. */
int realm_populate_around(struct vm *vm, uint64_t ipa);
int realm_share_around(struct vm *vm, uint64_t ipa);
int realm_change_ripas(struct vm *vm, unsigned int rec, uint64_t base, uint64_t top, unsigned int ripas);

/* May devices touch this memory? `context`: struct vm; `address` as the realm's DMA layer gives it. */
bool realm_shares(void *context, uint64_t address, uint64_t size);

/* The run, answer, abort, set_irq and kick of the back end. */
int realm_vcpu_run(struct vcpu *vcpu, struct vm_exit *exit);
void realm_vcpu_answer(struct vcpu *vcpu, uint64_t value);
int realm_vcpu_abort(struct vcpu *vcpu);
int realm_set_irq(struct vm *vm, unsigned int spi, bool level);
void realm_vcpu_kick(struct vcpu *vcpu);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the realm back end knows of its realm, and its calls of the driver. */
#ifndef RVMM_REALM_H
#define RVMM_REALM_H

#include <pthread.h>

#include "gic.h"
#include "page_set.h"
#include "power.h"
#include "realm_ioctl.h"
#include "rmi_structs.h"
#include "timer.h"
#include "vm.h"

struct realm_vcpu {
	struct rmi_rec_run *run;            /* shared with driver and RMM: read once, believe nothing */
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

#endif

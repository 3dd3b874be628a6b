/* SPDX-License-Identifier: GPL-2.0-only */
/* What the driver knows of a realm, and how it tells that one was refused something. */
#ifndef STATE_H
#define STATE_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include "realm_ioctl.h"
#include "rmi_structs.h"

struct page;

#define REALM_MAX_RECS 32

/* One virtual CPU. `lock` is held while it runs and is never waited for. */
struct rec {
	struct mutex lock;
	phys_addr_t granule;           /* 0: destroyed; changes under both its lock and the realm's */
	phys_addr_t aux[REC_MAX_AUX];
	unsigned int num_aux;
	struct page *run;              /* RmiRecRun: normal memory, mapped by the VMM */
	struct page *control;
	unsigned int timers;           /* which of its timers' outputs were high at the last return to the VMM */
	pid_t thread;                  /* who ran it last, where, and at which count of task switches */
	unsigned int cpu;
	unsigned long switches;
};

/* One realm, behind one open file. `lock` is held over everything that changes it but REC_ENTER. */
struct realm {
	struct list_head list;
	struct mutex lock;
	phys_addr_t rd;                /* 0: not created */
	phys_addr_t rtt_base;
	unsigned int rtt_count;
	int rtt_level;
	unsigned int ipa_bits;
	int vmid;
	unsigned long granules;        /* in it, as its own pages or its tables */
	struct xarray shared;          /* IPA / 4096 -> pinned page of the VMM */
	struct rec *recs[REALM_MAX_RECS];
	unsigned int num_recs;         /* published with release: REC_ENTER reads it without the lock */
	struct realm_last last;
};

/* Keep what the RMM said for REALM_LAST; returns -EPROTO. */
int realm_refused(struct realm *realm, u64 command, u64 status);

/* The host goes down, from now on. */
void realm_close_all(void);

/* Is the host going down? Calls then end with ENODEV. */
bool realm_closing(void);

/* Between two steps of a long call: let others run, and see whether the caller is wanted elsewhere. */
int realm_breathe(void);

#endif

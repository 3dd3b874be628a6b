/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the driver share. */
#ifndef REALM_H
#define REALM_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include "realm_ioctl.h"
#include "rmi.h"

struct page;
struct vm_area_struct;

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

/* Is the host going down? Calls then end with ENODEV. */
bool realm_closing(void);

/* granule.c: pages that belong to the Realm world. All return or take physical addresses; 0 is "no memory". */
phys_addr_t granule_alloc(void);
phys_addr_t granule_alloc_contiguous(unsigned int count);
void granule_free(phys_addr_t granule);
void granules_lost(unsigned long count);
unsigned int granules_delegated(void);
void granule_debugfs(struct dentry *folder);
void granule_exit(void);

/* memory.c: what is mapped into a realm. */
int memory_init_ripas(struct realm *realm, struct realm_range *range);
int memory_data(struct realm *realm, struct realm_data *data);
int memory_populate(struct realm *realm, struct realm_range *range);
int memory_share(struct realm *realm, struct realm_share *share);
int memory_unshare(struct realm *realm, struct realm_range *range);
int memory_set_ripas(struct realm *realm, struct realm_ripas *ripas);
void memory_release(struct realm *realm);

/* rec.c: virtual CPUs. */
int rec_init(void);
void rec_debugfs(struct dentry *folder);
int rec_create(struct realm *realm, const struct realm_rec_create *params);
int rec_enter(struct realm *realm, unsigned long number);
int rec_psci(struct realm *realm, const struct realm_psci *psci);
int rec_map(struct realm *realm, struct vm_area_struct *vma);
void rec_destroy_all(struct realm *realm);
void rec_free_all(struct realm *realm);

#endif

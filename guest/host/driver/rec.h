/* SPDX-License-Identifier: GPL-2.0-only */
/* Virtual CPUs. */
#ifndef REC_H
#define REC_H

#include "state.h"

struct dentry;
struct vm_area_struct;

/* Find the interrupts of the EL1 timers; -ENODEV if the machine has none. */
int rec_init(void);

/* `exits`: how many there were. */
void rec_debugfs(struct dentry *folder);

int rec_create(struct realm *realm, const struct realm_rec_create *params);
int rec_enter(struct realm *realm, unsigned long number);
int rec_psci(struct realm *realm, const struct realm_psci *psci);
int rec_map(struct realm *realm, struct vm_area_struct *vma);
void rec_destroy_all(struct realm *realm);
void rec_free_all(struct realm *realm);

#endif

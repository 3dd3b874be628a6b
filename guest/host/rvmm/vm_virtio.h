/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio devices of a guest. */
#ifndef RVMM_VM_VIRTIO_H
#define RVMM_VM_VIRTIO_H

#include "vm.h"

/* All of them, before the first vCPU runs; vm->ram is there. -1 with failure(). */
int vm_virtio_init(struct vm *vm);

/* Carry out an access; false: it is not one to a device. Reads fill *value. */
bool vm_virtio_access(struct vm *vm, const struct vm_exit *exit, uint64_t *value);

/*
 * A realm takes [base, top) of its RAM (IPAs without the shared bit) back. Between the two calls no device touches memory,
 * and after that none does there, if realm_shares() says so by then. The first takes the device lock, the second lets go of
 * it: what is locked in between comes behind it.
 */
void vm_virtio_withdraw(struct vm *vm, uint64_t base, uint64_t top);
void vm_virtio_resume(struct vm *vm);

#endif

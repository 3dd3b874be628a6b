/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's network: the device and the tap behind it. */
#ifndef RVMM_VM_NET_H
#define RVMM_VM_NET_H

#include "virtio_net.h"

struct vm;

struct vm_net {
	struct virtio_net device;
	int tap;                                /* -1: none */
	bool gone;                              /* somebody has removed it */
	size_t waiting;                         /* bytes of: */
	uint8_t frame[VIRTIO_NET_FRAME_BYTES];  /* the next one for the guest; the main thread's */
};

/* Make the tap and the device if the guest is to have them; -1 with failure(). */
int vm_net_init(struct vm *vm, const struct virtio_host *host);

/* The main thread: what to poll for input (-1: nothing now), and what to do when there is some. When there is much, the poll
 * finds the VM woken, and comes back here. */
int vm_net_poll(struct vm *vm);
void vm_net_serve(struct vm *vm);

/* The tap goes. */
void vm_net_close(struct vm *vm);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's disk: the device, the file behind it and the thread that waits for the file. */
#ifndef RVMM_VM_BLK_H
#define RVMM_VM_BLK_H

#include <pthread.h>

#include "disk.h"
#include "virtio_blk.h"

struct vm;

struct vm_blk {
	struct virtio_blk device;
	struct disk disk;
	pthread_t thread;
	bool opened, started;
	pthread_cond_t wake, idle;         /* with the device lock, which protects: */
	bool busy, end;
	unsigned int pauses;               /* the thread takes no request while there are any */
	struct virtio_blk_request request; /* what it is busy with; the thread's */
};

/* Open the file and make the device if the guest is to have them; -1 with failure(). vm_blk_close() in both cases. */
int vm_blk_init(struct vm *vm, const struct virtio_host *host);

/* Make the thread, which waits at the VM's gate; how many threads that are, or -1 with failure(). */
int vm_blk_start(struct vm *vm);

/* Wait until it has finished what it is at, and end it. vCPUs must not be gone yet: it interrupts them. */
void vm_blk_stop(struct vm *vm);

void vm_blk_close(struct vm *vm);

/* Wait for the request in hand, and begin no other before vm_blk_resume(). Both under the device lock, which the first lets
 * go of while it waits. */
void vm_blk_pause(struct vm *vm);
void vm_blk_resume(struct vm *vm);

#endif

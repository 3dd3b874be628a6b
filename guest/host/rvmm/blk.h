/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's disk: the device, the file behind it and the thread that waits for the file. */
#ifndef RVMM_BLK_H
#define RVMM_BLK_H

#include <pthread.h>

#include "disk.h"
#include "gate.h"
#include "options.h"
#include "virtio_blk.h"

struct blk {
	struct virtio_blk device;
	struct virtio *slot;               /* where the guest sees the device */
	struct gate *gate;                 /* the thread waits at it until the guest may run */
	struct disk disk;
	pthread_t thread;
	bool opened, started;
	pthread_cond_t wake, idle;         /* with: */
	pthread_mutex_t *lock;             /* the device lock, which protects: */
	bool busy, end;
	unsigned int pauses;               /* the thread takes no request while there are any */
	struct virtio_blk_request request; /* what it is busy with; the thread's */
};

/* Open the file and make the device if the guest is to have them; `slot`, `gate`, `lock` and the device's statistics are
 * filled in, the rest is zero. -1 with failure(). blk_close() in both cases. */
int blk_init(struct blk *blk, const struct options *options, const struct virtio_host *host);

/* Make the thread, which waits at the gate; how many threads that are, or -1 with failure(). */
int blk_start(struct blk *blk);

/* Wait until it has finished what it is at, and end it. vCPUs must not be gone yet: it interrupts them. */
void blk_stop(struct blk *blk);

void blk_close(struct blk *blk);

/* Wait for the request in hand, and begin no other before blk_resume(). Both under the device lock, which the first lets
 * go of while it waits. */
void blk_pause(struct blk *blk);
void blk_resume(struct blk *blk);

#endif

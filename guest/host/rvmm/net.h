/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's network: the device and the tap behind it. */
#ifndef RVMM_NET_H
#define RVMM_NET_H

#include <pthread.h>

#include "options.h"
#include "virtio_net.h"

struct net {
	struct virtio_net device;
	struct virtio *slot;                    /* where the guest sees the device; under: */
	pthread_mutex_t *lock;
	void (*wake)(void *context);            /* the main thread is to look at everything again */
	void *context;
	bool opened;
	int tap;
	bool gone;                              /* somebody has removed it */
	size_t waiting;                         /* bytes of: */
	uint8_t frame[VIRTIO_NET_FRAME_BYTES];  /* the next one for the guest; the main thread's */
};

/* Make the tap and the device if the guest is to have them; `slot`, `lock`, `wake`, `context` and the device's statistics are
 * filled in, the rest is zero. -1 with failure(). net_close() in both cases. */
int net_init(struct net *net, const struct options *options, const struct virtio_host *host);

/* The main thread: what to poll for input (-1: nothing now), and what to do when there is some. When there is much, the poll
 * finds the main thread woken, and comes back here. */
int net_poll(struct net *net);
void net_serve(struct net *net);

/* The tap goes. */
void net_close(struct net *net);

#endif

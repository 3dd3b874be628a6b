/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues (virtio 1.2, 2.7): the requests that a driver leaves in its memory, and the answers to them. What is said
 * in virtio.h of content that makes no sense is done here.
 */
#ifndef RVMM_VIRTQUEUE_H
#define RVMM_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "virtio.h"

/* Buffers of one request, checked and in memory of ours: first those to read, then those to write. What is in them may
 * change while one looks. */
struct virtio_chain {
	unsigned int queue, head;
	uint32_t epoch;
	unsigned int readable, writable;
	struct iovec parts[VIRTIO_QUEUE_SIZE];
};

/* Map the queue's rings as the registers tell; false: they make no sense. */
bool virtqueue_start(const struct virtio *device, struct virtio_queue *queue);

/* Take the next chain; false: there is none, or it broke the device. */
bool virtio_pop(struct virtio *device, unsigned int queue, struct virtio_chain *chain);

/* How many chains wait to be taken; what makes no sense counts as one, and breaks the device when it is taken. */
unsigned int virtio_pending(const struct virtio *device, unsigned int queue);

/* Tell the driver whether notifications of this queue are of use. When they are so again, look once more for what came
 * meanwhile. */
void virtio_want_notifications(struct virtio *device, unsigned int queue, bool wanted);

/* Put the chains taken last back, as if they had not been taken: nothing was pushed since. */
void virtio_unpop(struct virtio *device, unsigned int queue, unsigned int count);

/* virtio_push() in two steps, for several chains that the driver is to see at once. Under one hold of the lock with the
 * virtio_pop() of all of them. */
void virtio_stage(struct virtio *device, unsigned int queue, unsigned int head, uint32_t written);
void virtio_publish(struct virtio *device, unsigned int queue);

/* Give it back, `written` bytes into the buffers to write, and tell the driver. */
void virtio_push(struct virtio *device, const struct virtio_chain *chain, uint32_t written);

/* Copy into the chain's buffers to write; how much of it they took. */
size_t virtio_scatter(const struct virtio_chain *chain, const uint8_t *bytes, size_t size);

/* The guest takes [base, top) of the addresses that devices see away: a device with a ring there breaks, and touches it no
 * more. Its buffers there are found when it takes them. */
void virtio_withdraw(struct virtio *device, uint64_t base, uint64_t top);

#endif

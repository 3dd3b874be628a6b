/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio_rng.h"

#include "virtqueue.h"

#define ID 4U

/* How much was written; 0: no room was given, or there is nothing to be had. */
static uint32_t fill(struct entropy *entropy, const struct virtio_chain *chain)
{
	uint32_t done = 0;
	unsigned int i;

	for (i = 0; i < chain->writable && done < VIRTIO_RNG_BYTES; i++) {
		const struct iovec *part = &chain->parts[chain->readable + i];
		size_t room = VIRTIO_RNG_BYTES - done, count = part->iov_len < room ? part->iov_len : room;

		if (entropy_fill(entropy, part->iov_base, count) < 0)
			return 0;
		done += (uint32_t)count;
	}
	return done;
}

static void notify(struct virtio *device, unsigned int queue)
{
	struct virtio_chain chain;
	unsigned int i;
	uint32_t done;

	for (i = 0; i < VIRTIO_QUEUE_SIZE && virtio_pop(device, queue, &chain); i++) {
		done = chain.readable == 0 ? fill(device->context, &chain) : 0;
		if (done != 0)
			virtio_push(device, &chain, done);
		else
			virtio_break(device);
	}
}

static const struct virtio_type rng = { .id = ID, .queues = 1, .notify = notify };

void virtio_rng_init(struct virtio *device, struct entropy *entropy, unsigned int slot, const struct virtio_host *host)
{
	virtio_init(device, &rng, entropy, slot, host);
}

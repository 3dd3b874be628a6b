/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block device (virtio 1.2, 5.2): read, write, flush, identify; pure logic. Requests are carried out by somebody who may
 * wait, one at a time, in three steps: take and finish with the device lock, carry out without.
 */
#ifndef RVMM_VIRTIO_BLK_H
#define RVMM_VIRTIO_BLK_H

#include "stats.h"
#include "virtqueue.h"

#define VIRTIO_BLK_ID_BYTES     20U
#define VIRTIO_BLK_CONFIG_BYTES 16U

/* What is behind it. */
struct virtio_blk_medium {
	void *context;
	/* Without the lock: all of the parts, which may be spoiled, at this place in bytes; what was written is on the medium.
	 * -1: an error. */
	int (*transfer)(void *context, bool write, struct iovec *parts, unsigned int count, uint64_t offset);
	int (*flush)(void *context);
	/* Under the lock: there may be something to take; return once nothing that was taken is still carried out. */
	void (*wake)(void *context);
	void (*settle)(void *context);
};

struct virtio_blk {
	struct virtio_blk_medium medium;
	struct stats *stats;
	uint64_t sectors;                   /* of 512 bytes, at least one */
	bool writable;
	uint8_t config[VIRTIO_BLK_CONFIG_BYTES]; /* virtio_blk_init() fills it in */
};

struct virtio_blk_request {
	struct virtio_chain chain;
	uint32_t written;
};

/* A device in `slot`; `blk` stays where it is, with all but `config` filled in. */
void virtio_blk_init(struct virtio *device, struct virtio_blk *blk, unsigned int slot, const struct virtio_host *host);

/* Take the next request; false: there is none. */
bool virtio_blk_take(struct virtio *device, struct virtio_blk_request *request);

/* Carry it out, and give it back; the latter does nothing if there was a reset in between. */
void virtio_blk_carry_out(struct virtio_blk *blk, struct virtio_blk_request *request);
void virtio_blk_finish(struct virtio *device, const struct virtio_blk_request *request);

#endif

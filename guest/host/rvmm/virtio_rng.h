/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy device (virtio 1.2, 5.4). */
#ifndef RVMM_VIRTIO_RNG_H
#define RVMM_VIRTIO_RNG_H

#include "entropy.h"
#include "virtio.h"

/* A request gets this many bytes at most, however large its buffers are. */
#define VIRTIO_RNG_BYTES 4096U

/* A device in `slot`; `entropy` stays where it is. */
void virtio_rng_init(struct virtio *device, struct entropy *entropy, unsigned int slot, const struct virtio_host *host);

#endif

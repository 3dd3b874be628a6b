/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver sees of a virtio device: its registers (virtio 1.2, 4.2.2), and by them the negotiation of its set-up. */
#ifndef RVMM_VIRTIO_MMIO_H
#define RVMM_VIRTIO_MMIO_H

#include <stdint.h>

#include "virtio.h"

#define VIRTIO_QUEUE_NOTIFY 0x050U /* the register */

/* Accesses of 1, 2, 4 or 8 bytes within the device's VIRTIO_BYTES. */
uint32_t virtio_read(const struct virtio *device, uint32_t offset, unsigned int bytes);
void virtio_write(struct virtio *device, uint32_t offset, unsigned int bytes, uint32_t value);

#endif

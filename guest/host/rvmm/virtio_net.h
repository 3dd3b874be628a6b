/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network device (virtio 1.2, 5.1): one pair of queues, checksums and segments of TCP over IPv4 left to the other
 * side, frames in several buffers. Pure logic; a frame goes as the header of 12 bytes and then the frame itself, in the
 * queues as on the link.
 */
#ifndef RVMM_VIRTIO_NET_H
#define RVMM_VIRTIO_NET_H

#include <stddef.h>
#include <sys/uio.h>

#include "stats.h"
#include "virtio.h"

#define VIRTIO_NET_HEADER_BYTES 12U
/* A segmentable frame of 64 KiB, an Ethernet header with a tag, and our header. */
#define VIRTIO_NET_FRAME_BYTES (65536U + 18U + VIRTIO_NET_HEADER_BYTES)

/* The other end. All are called under the device lock and do not wait. */
struct virtio_net_link {
	void *context;
	/* Take a frame, which may change meanwhile; false: it is lost. */
	bool (*send)(void *context, const struct iovec *parts, unsigned int count);
	/* What the guest takes: frames without a checksum, and segmentable ones of TCP over IPv4. */
	void (*offload)(void *context, bool checksum, bool segments);
	/* There may be buffers to receive into; or the driver has gone. */
	void (*changed)(void *context);
};

struct virtio_net {
	struct virtio_net_link link;
	struct stats *stats;
	uint8_t mac[6];
	unsigned int starved; /* so many buffers were too few for the frame that waits */
};

/* A device in `slot`; `net` stays where it is, with all but `starved` filled in. */
void virtio_net_init(struct virtio *device, struct virtio_net *net, unsigned int slot, const struct virtio_host *host);

/* Does it pay to look for a frame? If not, changed() is called when it does. */
bool virtio_net_wants(struct virtio *device);

/* A frame for the guest. False: the buffers there are do not suffice, try again once virtio_net_wants(). What can
 * never be received is dropped. */
bool virtio_net_deliver(struct virtio *device, const uint8_t *frame, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio_net.h"

#include <string.h>

#include "virtqueue.h"

#define ID 1U

enum { RECEIVE, TRANSMIT, QUEUES };

#define FEATURE_CSUM       (UINT64_C(1) << 0)  /* we take frames without a checksum ... */
#define FEATURE_GUEST_CSUM (UINT64_C(1) << 1)  /* ... and so does the driver */
#define FEATURE_MAC        (UINT64_C(1) << 5)
#define FEATURE_GUEST_TSO4 (UINT64_C(1) << 7)
#define FEATURE_HOST_TSO4  (UINT64_C(1) << 11)
#define FEATURE_MRG_RXBUF  (UINT64_C(1) << 15)

/* The header: flags, kind of segments, three numbers of 16 bits about them, number of buffers. */
#define HEADER_FLAGS      0U
#define HEADER_SEGMENTS   1U
#define HEADER_BUFFERS    10U
#define FLAG_NEEDS_CSUM   1U
#define SEGMENTS_NONE     0U
#define SEGMENTS_TCP_IPV4 1U

#define ETHERNET_BYTES 14U

static bool accepted(const struct virtio *device, uint64_t feature)
{
	return (device->accepted & feature) != 0;
}

static size_t total(const struct iovec *parts, unsigned int count)
{
	size_t sum = 0;
	unsigned int i;

	for (i = 0; i < count; i++)
		sum += parts[i].iov_len;
	return sum;
}

/* ---- From the guest ----------------------------------------------------------------------------------------- */

static void send(const struct virtio_net *net, const struct virtio_chain *chain)
{
	bool sent = total(chain->parts, chain->readable) <= VIRTIO_NET_FRAME_BYTES &&
		    net->link.send(net->link.context, chain->parts, chain->readable);

	stat_add(net->stats, sent ? STAT_NET_TX_FRAMES : STAT_NET_DROPPED);
}

static void transmit(struct virtio *device)
{
	struct virtio_chain chain;
	unsigned int i;

	for (i = 0; i < VIRTIO_QUEUE_SIZE && virtio_pop(device, TRANSMIT, &chain); i++) {
		if (chain.writable != 0 ||
		    total(chain.parts, chain.readable) < VIRTIO_NET_HEADER_BYTES + ETHERNET_BYTES) {
			virtio_break(device);
			return;
		}
		send(device->context, &chain);
		virtio_push(device, &chain, 0);
	}
}

/* ---- To the guest ------------------------------------------------------------------------------------------- */

bool virtio_net_wants(struct virtio *device)
{
	const struct virtio_net *net = device->context;
	bool enough = virtio_pending(device, RECEIVE) > net->starved;

	/* While frames are looked for, each refill would cost the guest an exit for nothing. */
	virtio_want_notifications(device, RECEIVE, !enough);
	return enough || virtio_pending(device, RECEIVE) > net->starved;
}

/* May the driver get a frame like this? The link may hold older ones, made for a driver that accepted more. */
static bool expected(const struct virtio *device, const uint8_t *frame)
{
	if ((frame[HEADER_FLAGS] & FLAG_NEEDS_CSUM) != 0 && !accepted(device, FEATURE_GUEST_CSUM))
		return false;
	return frame[HEADER_SEGMENTS] == SEGMENTS_NONE ||
	       (frame[HEADER_SEGMENTS] == SEGMENTS_TCP_IPV4 && accepted(device, FEATURE_GUEST_TSO4));
}

/* Where byte `offset` of a chain's buffers is; NULL: it has not so many. */
static uint8_t *place(const struct virtio_chain *chain, size_t offset)
{
	const struct iovec *parts = &chain->parts[chain->readable];
	unsigned int i;

	for (i = 0; i < chain->writable; i++) {
		if (offset < parts[i].iov_len)
			return (uint8_t *)parts[i].iov_base + offset;
		offset -= parts[i].iov_len;
	}
	return NULL;
}

/* A frame on its way into buffers that the driver does not see yet. */
struct delivery {
	unsigned int count;
	size_t done;
	uint8_t *buffers[2];   /* where in the first buffer their number goes */
	uint16_t heads[VIRTIO_QUEUE_SIZE];
	uint32_t written[VIRTIO_QUEUE_SIZE];
};

/* Fill the next chain; false: there is none, or it broke the device. */
static bool fill(struct virtio *device, struct delivery *delivery, const uint8_t *frame, size_t size)
{
	struct virtio_chain chain;
	size_t count;

	if (!virtio_pop(device, RECEIVE, &chain))
		return false;
	count = virtio_scatter(&chain, frame + delivery->done, size - delivery->done);
	if (delivery->count == 0) {
		delivery->buffers[0] = place(&chain, HEADER_BUFFERS);
		delivery->buffers[1] = place(&chain, HEADER_BUFFERS + 1);
	}
	/* The header is in one buffer. */
	if (chain.readable != 0 || count == 0 || delivery->buffers[1] == NULL) {
		virtio_break(device);
		return false;
	}
	delivery->heads[delivery->count] = (uint16_t)chain.head;
	delivery->written[delivery->count++] = (uint32_t)count;
	delivery->done += count;
	return true;
}

static void publish(struct virtio *device, const struct delivery *delivery)
{
	unsigned int i;

	*delivery->buffers[0] = (uint8_t)delivery->count;
	*delivery->buffers[1] = (uint8_t)(delivery->count >> 8);
	for (i = 0; i < delivery->count; i++)
		virtio_stage(device, RECEIVE, delivery->heads[i], delivery->written[i]);
	virtio_publish(device, RECEIVE);
}

static bool drop(struct virtio_net *net)
{
	net->starved = 0;
	stat_add(net->stats, STAT_NET_DROPPED);
	return true;
}

bool virtio_net_deliver(struct virtio *device, const uint8_t *frame, size_t size)
{
	const unsigned int most = accepted(device, FEATURE_MRG_RXBUF) ? device->queues[RECEIVE].size : 1;
	struct virtio_net *net = device->context;
	struct delivery delivery = { .count = 0 };

	if (!virtio_running(device) || size < VIRTIO_NET_HEADER_BYTES || !expected(device, frame))
		return drop(net);
	while (delivery.done < size && delivery.count < most && fill(device, &delivery, frame, size))
		continue;
	if (!virtio_running(device))
		return drop(net);
	if (delivery.done < size) {
		virtio_unpop(device, RECEIVE, delivery.count);
		if (delivery.count == most)
			return drop(net);
		net->starved = delivery.count;
		return false;
	}
	net->starved = 0;
	publish(device, &delivery);
	stat_add(net->stats, STAT_NET_RX_FRAMES);
	return true;
}

/* ---- The device --------------------------------------------------------------------------------------------- */

static void notify(struct virtio *device, unsigned int queue)
{
	const struct virtio_net *net = device->context;

	if (queue == TRANSMIT)
		transmit(device);
	else
		net->link.changed(net->link.context);
}

static void start(struct virtio *device)
{
	const struct virtio_net *net = device->context;
	bool checksum = accepted(device, FEATURE_GUEST_CSUM);

	net->link.offload(net->link.context, checksum, checksum && accepted(device, FEATURE_GUEST_TSO4));
	net->link.changed(net->link.context);
}

static void reset(struct virtio *device)
{
	struct virtio_net *net = device->context;

	net->starved = 0;
	net->link.offload(net->link.context, false, false);
	net->link.changed(net->link.context);
}

static const struct virtio_type type = {
	.id = ID,
	.queues = QUEUES,
	/*
	 * A realm bounces what it posts, and its pool may be small. The longest frame, 64 KiB, is received into 43 buffers at
	 * most; of such frames five are on their way at once.
	 */
	.rings = { [RECEIVE] = 64, [TRANSMIT] = 32 },
	.features = FEATURE_CSUM | FEATURE_GUEST_CSUM | FEATURE_MAC | FEATURE_GUEST_TSO4 | FEATURE_HOST_TSO4 |
		    FEATURE_MRG_RXBUF,
	.notify = notify,
	.start = start,
	.reset = reset,
};

void virtio_net_init(struct virtio *device, struct virtio_net *net, unsigned int slot, const struct virtio_host *host)
{
	virtio_init(device, &type, net, slot, host);
	net->starved = 0;
	device->config = net->mac;
	device->config_bytes = sizeof(net->mac);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "net.h"

#include <string.h>
#include <unistd.h>

#include "layout.h"
#include "tap.h"

/* Frames for the guest before the main thread looks at everything else again. */
#define BATCH 64U

/* How often it does that for a guest that is as fast as the host, before it looks whether it is told to end. */
#define ROUNDS 16U

/* ---- The link; under the device lock ------------------------------------------------------------------------ */

static bool send(void *context, const struct iovec *parts, unsigned int count)
{
	const struct net *net = context;

	return tap_send(net->tap, parts, count);
}

static void offload(void *context, bool checksum, bool segments)
{
	const struct net *net = context;

	tap_offload(net->tap, checksum, segments);
}

static void changed(void *context)
{
	const struct net *net = context;

	net->wake(net->context);
}

/* ---- The main thread ---------------------------------------------------------------------------------------- */

/* Give the guest the frame that waits; false: it has no room now. */
static bool deliver(struct net *net)
{
	bool result;

	(void)pthread_mutex_lock(net->lock);
	result = virtio_net_deliver(net->slot, net->frame, net->waiting);
	(void)pthread_mutex_unlock(net->lock);
	return result;
}

void net_serve(struct net *net)
{
	unsigned int i;
	ssize_t count;

	for (i = 0; i < BATCH; i++) {
		if (net->waiting == 0) {
			count = tap_receive(net->tap, net->frame, sizeof(net->frame));
			if (count < 0)
				net->gone = true;
			if (count <= 0)
				return;
			net->waiting = (size_t)count;
		}
		if (!deliver(net))
			return;
		net->waiting = 0;
	}
}

static bool wants(struct net *net)
{
	bool result;

	(void)pthread_mutex_lock(net->lock);
	result = virtio_net_wants(net->slot);
	(void)pthread_mutex_unlock(net->lock);
	return result;
}

int net_poll(struct net *net)
{
	unsigned int i;

	if (!net->opened)
		return -1;
	/* The tap may have nothing new to tell. */
	for (i = 0; net->waiting != 0 && wants(net); i++) {
		if (i == ROUNDS) {
			net->wake(net->context);
			return -1;
		}
		net_serve(net);
	}
	return net->waiting == 0 && !net->gone && wants(net) ? net->tap : -1;
}

/* ---- Making and unmaking ------------------------------------------------------------------------------------ */

int net_init(struct net *net, const struct options *options, const struct virtio_host *host)
{
	if (options->tap == NULL)
		return 0;
	net->tap = tap_open(options->tap);
	if (net->tap < 0)
		return -1;
	net->opened = true;
	if (options->tap_address != 0 && tap_set_address(options->tap, options->tap_address, options->tap_prefix) < 0)
		return -1;
	net->device.link = (struct virtio_net_link){ .context = net, .send = send, .offload = offload, .changed = changed };
	memcpy(net->device.mac, options->mac, sizeof(options->mac));
	virtio_net_init(net->slot, &net->device, VIRTIO_SLOT_NET, host);
	return 0;
}

void net_close(struct net *net)
{
	if (net->opened)
		(void)close(net->tap);
	net->opened = false;
}

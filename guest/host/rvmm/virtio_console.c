/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio_console.h"

#include <string.h>

#include "virtqueue.h"

#define ID 3U

enum { RECEIVE, TRANSMIT, QUEUES };

/* ---- From the guest ----------------------------------------------------------------------------------------- */

static bool print(const struct virtio_console *console, const struct virtio_chain *chain)
{
	size_t sum = 0;
	unsigned int i;

	for (i = 0; i < chain->readable; i++)
		sum += chain->parts[i].iov_len;
	if (chain->writable != 0 || sum > VIRTIO_CONSOLE_BYTES)
		return false;
	for (i = 0; i < chain->readable; i++)
		console->output(console->context, chain->parts[i].iov_base, chain->parts[i].iov_len);
	return true;
}

static void transmit(struct virtio *device)
{
	struct virtio_console *console = device->context;
	struct virtio_chain chain;
	unsigned int i;

	for (i = 0; i < VIRTIO_QUEUE_SIZE && virtio_pop(device, TRANSMIT, &chain); i++) {
		if (!print(console, &chain)) {
			virtio_break(device);
			return;
		}
		virtio_push(device, &chain, 0);
		if (!console->in_use) {
			console->in_use = true;
			console->changed(console->context);
		}
	}
}

/* ---- To the guest ------------------------------------------------------------------------------------------- */

bool virtio_console_in_use(const struct virtio *device)
{
	const struct virtio_console *console = device->context;

	return console->in_use && virtio_running(device);
}

bool virtio_console_has_room(struct virtio *device)
{
	bool room = virtio_pending(device, RECEIVE) != 0;

	virtio_want_notifications(device, RECEIVE, !room);
	return room || virtio_pending(device, RECEIVE) != 0;
}

size_t virtio_console_receive(struct virtio *device, const uint8_t *bytes, size_t count)
{
	struct virtio_chain chain;
	size_t done = 0, part;

	while (done < count && virtio_pop(device, RECEIVE, &chain)) {
		part = chain.readable == 0 ? virtio_scatter(&chain, bytes + done, count - done) : 0;
		if (part == 0) {
			virtio_break(device);
			break;
		}
		virtio_push(device, &chain, (uint32_t)part);
		done += part;
	}
	return done;
}

/* ---- The device --------------------------------------------------------------------------------------------- */

static void notify(struct virtio *device, unsigned int queue)
{
	const struct virtio_console *console = device->context;

	if (queue == TRANSMIT)
		transmit(device);
	else
		console->changed(console->context);
}

static void reset(struct virtio *device)
{
	struct virtio_console *console = device->context;

	console->in_use = false;
	console->changed(console->context);
}

/* Linux fills the ring at its start with a page and a notification for each entry: 256 of them take a third of a second. */
static const struct virtio_type type = { .id = ID, .queues = QUEUES, .rings = { 16, 16 }, .notify = notify, .reset = reset };

void virtio_console_init(struct virtio *device, struct virtio_console *console, unsigned int slot,
			 const struct virtio_host *host)
{
	virtio_init(device, &type, console, slot, host);
	console->in_use = false;
}

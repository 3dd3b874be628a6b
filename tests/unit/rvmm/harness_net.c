/* SPDX-License-Identifier: Apache-2.0 */
/* The network device with a link that notes what it gets, and the consoles with a keyboard, for the line protocol. */
#include "harness_net.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyboard.h"
#include "virtio_console.h"
#include "virtio_net.h"
#include "virtqueue.h"

static struct virtio_net net;
static struct stats stats;
static struct virtio_console console;
static struct pl011 uart;
static struct keyboard keyboard;
static uint8_t seen[VIRTIO_NET_FRAME_BYTES]; /* sent last, or printed since last asked */
static size_t seen_bytes;
static bool link_refuses;
static unsigned int changes, offloads;

/* ---- What the devices are connected to ---------------------------------------------------------------------- */

static bool send(void *context, const struct iovec *parts, unsigned int count)
{
	unsigned int i;

	if (context != &net)
		abort();
	for (i = 0, seen_bytes = 0; i < count; i++) {
		if (parts[i].iov_len > sizeof(seen) - seen_bytes)
			abort();
		memcpy(seen + seen_bytes, parts[i].iov_base, parts[i].iov_len);
		seen_bytes += parts[i].iov_len;
	}
	return !link_refuses;
}

static void offload(void *context, bool checksum, bool segments)
{
	(void)context;
	offloads = (unsigned int)checksum | (unsigned int)segments << 1;
}

static void changed(void *context)
{
	(void)context;
	changes++;
}

static void output(void *context, const uint8_t *bytes, size_t count)
{
	(void)context;
	if (count > sizeof(seen) - seen_bytes)
		seen_bytes = 0;
	memcpy(seen + seen_bytes, bytes, count);
	seen_bytes += count;
}

static void transmit(void *context, uint8_t byte)
{
	output(context, &byte, 1);
}

void start_net(struct virtio *device, unsigned int slot, const struct virtio_host *host)
{
	static const uint8_t mac[] = { 2, 0, 0, 0, 1, 7 };

	memset(&stats, 0, sizeof(stats));
	seen_bytes = 0;
	link_refuses = false;
	changes = offloads = 0;
	net = (struct virtio_net){ .link = { .context = &net, .send = send, .offload = offload, .changed = changed },
				   .stats = &stats };
	memcpy(net.mac, mac, sizeof(mac));
	virtio_net_init(device, &net, slot, host);
}

void start_console(struct virtio *device, unsigned int slot, const struct virtio_host *host)
{
	seen_bytes = 0;
	changes = 0;
	console = (struct virtio_console){ .output = output, .changed = changed };
	virtio_console_init(device, &console, slot, host);
	pl011_init(&uart, transmit, NULL);
	keyboard = (struct keyboard){ .uart = &uart, .console = device };
}

/* ---- What comes from outside -------------------------------------------------------------------------------- */

/* A frame whose byte `i` behind the header is `i` again. Exactly as large as it is said to be: the sanitizer watches. */
static bool deliver(struct virtio *device, size_t size, uint8_t flags, uint8_t segments)
{
	uint8_t *frame = malloc(size);
	size_t i;
	bool result;

	if (frame == NULL)
		abort();
	for (i = 0; i < size; i++)
		frame[i] = i < VIRTIO_NET_HEADER_BYTES ? 0 : (uint8_t)i;
	frame[0] = flags;
	frame[1] = segments;
	result = virtio_net_deliver(device, frame, size);
	free(frame);
	return result;
}

void poke_net(struct virtio *device, unsigned int size)
{
	/* Who asked for more buffers is not told to come again as long as there are no more. */
	if (virtio_net_wants(device) && !deliver(device, VIRTIO_NET_HEADER_BYTES + size, 0, 0) &&
	    virtio_pending(device, 0) > net.starved)
		abort();
}

void poke_console(unsigned int size)
{
	uint8_t bytes[KEYBOARD_BYTES];
	size_t room = keyboard_room(&keyboard);

	memset(bytes, 'x', sizeof(bytes));
	keyboard_type(&keyboard, bytes, size < room ? size : room);
	(void)pl011_read(&uart, 0);
}

/* ---- Commands ----------------------------------------------------------------------------------------------- */

static void show_seen(void)
{
	size_t i;

	printf("%zx", seen_bytes);
	for (i = 0; i < seen_bytes && i < 64; i++)
		printf(" %x", seen[i]);
	printf("\n");
	seen_bytes = 0;
}

static void do_type(const uint64_t *words)
{
	uint8_t bytes[KEYBOARD_BYTES];

	memset(bytes, (int)words[0], sizeof(bytes));
	keyboard_type(&keyboard, bytes, words[1]);
	printf("0\n");
}

/* A byte that the guest fetches, and how many are left. */
static void show_uart(void)
{
	uint32_t byte = pl011_read(&uart, 0);

	printf("%x %zx\n", byte, (size_t)PL011_RX_BYTES - pl011_room(&uart));
}

static void show_net(void)
{
	printf("%" PRIx64 " %" PRIx64 " %" PRIx64 " %x %x\n", atomic_load(&stats.counts[STAT_NET_RX_FRAMES]),
	       atomic_load(&stats.counts[STAT_NET_TX_FRAMES]), atomic_load(&stats.counts[STAT_NET_DROPPED]), offloads,
	       changes);
}

void do_net(struct virtio *device, const char *name, const uint64_t *words)
{
	if (strcmp(name, "n_deliver") == 0)
		printf("%x\n", deliver(device, words[0], (uint8_t)words[1], (uint8_t)words[2]));
	else if (strcmp(name, "n_wants") == 0)
		printf("%x\n", virtio_net_wants(device));
	else if (strcmp(name, "n_state") == 0)
		show_net();
	else if (strcmp(name, "n_seen") == 0)
		show_seen();
	else if (strcmp(name, "n_refuse") == 0)
		link_refuses = words[0] != 0, printf("0\n");
	else if (strcmp(name, "n_room") == 0)
		printf("%zx\n", keyboard_room(&keyboard));
	else if (strcmp(name, "n_type") == 0)
		do_type(words);
	else if (strcmp(name, "n_uart") == 0)
		show_uart();
	else if (strcmp(name, "n_used") == 0)
		printf("%x %x\n", virtio_console_in_use(device), changes);
	else
		exit(2);
}

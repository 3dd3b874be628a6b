/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio behind the line protocol: a guest's memory of 64 KiB, with nothing around it that may be touched, and in it
 * either the entropy device or one that keeps its chains until it is told to give them back.
 */
#include "harness_virtio.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness_net.h"
#include "layout.h"
#include "virtio_mmio.h"
#include "virtio_rng.h"
#include "virtqueue.h"

#define RAM_BYTES 0x10000U
#define KEPT      8U
#define STRIDE    0x4000U /* between the rings of two queues */

static uint8_t *ram;
static struct virtio device;
static struct entropy entropy;
static bool level;
static unsigned int changes, notified, resets;
static struct virtio_chain kept[KEPT];
static uint64_t denied; /* a page of the memory that devices may not touch; 0: all may be touched */

static bool usable(void *context, uint64_t address, uint64_t size)
{
	uint64_t page = device.host.base + denied;

	if (context != &device || !within(address, size, device.host.base, device.host.bytes))
		abort();
	return denied == 0 || address + size <= page || address >= page + PAGE_BYTES;
}

static void interrupt(void *context, unsigned int slot, bool now)
{
	if (context != &device || slot != 3 || now == level)
		abort();
	level = now;
	changes++;
}

static void notify(struct virtio *self, unsigned int queue)
{
	if (self != &device || queue > 1)
		abort();
	notified++;
}

static void forget(struct virtio *self)
{
	(void)self;
	resets++;
}

static const uint8_t config[] = { 1, 2, 3, 4, 5, 6 };
static const struct virtio_type keeper = { .id = 42, .queues = 2, .features = 1U << 5, .notify = notify, .reset = forget };

static void start(unsigned int kind, bool realm, uint64_t seed)
{
	struct virtio_host host = { .bytes = RAM_BYTES, .base = RAM_BASE | (realm ? IPA_UNPROTECTED : 0),
				    .context = &device, .interrupt = interrupt,
				    .usable = usable };

	free(ram);
	ram = aligned_alloc(PAGE_BYTES, RAM_BYTES);
	if (ram == NULL)
		abort();
	memset(ram, 0, RAM_BYTES);
	host.ram = ram;
	level = false;
	changes = notified = resets = 0;
	memset(kept, 0, sizeof(kept));
	denied = 0;
	entropy = (struct entropy){ .seeded = true, .state = seed };
	if (kind == KIND_KEEPER) {
		virtio_init(&device, &keeper, NULL, 3, &host);
		device.config = config;
		device.config_bytes = sizeof(config);
	} else if (kind == KIND_NET) {
		start_net(&device, 3, &host);
	} else if (kind == KIND_CONSOLE) {
		start_console(&device, 3, &host);
	} else {
		virtio_rng_init(&device, &entropy, 3, &host);
	}
}

static void do_pop(unsigned int queue, struct virtio_chain *chain)
{
	unsigned int i;

	if (!virtio_pop(&device, queue, chain)) {
		printf("0\n");
		return;
	}
	printf("1 %x %x %x", chain->head, chain->readable, chain->writable);
	for (i = 0; i < chain->readable + chain->writable; i++)
		printf(" %tx %zx", (uint8_t *)chain->parts[i].iov_base - ram, chain->parts[i].iov_len);
	printf("\n");
}

static void do_stream(uint64_t seed, size_t count)
{
	struct entropy stream = { .seeded = true, .state = seed };
	uint8_t bytes[64];
	size_t i;

	if (entropy_fill(&stream, bytes, count < sizeof(bytes) ? count : sizeof(bytes)) < 0)
		abort();
	for (i = 0; i < count && i < sizeof(bytes); i++)
		printf("%x ", bytes[i]);
	printf("\n");
}

/* ---- A guest that does anything ----------------------------------------------------------------------------- */

static unsigned int pick(unsigned int below)
{
	return (unsigned int)rand() % below;
}

static void put(uint32_t offset, uint32_t value)
{
	virtio_write(&device, offset, 4, value);
}

/* As a driver does it: so that the rest is reached. */
static void set_up(unsigned int size, uint32_t features)
{
	uint32_t high = (uint32_t)(device.host.base >> 32), low = (uint32_t)device.host.base;
	unsigned int queue;

	put(0x70, 0);
	put(0x24, 0), put(0x20, features);
	put(0x24, 1), put(0x20, 3);
	put(0x70, 11);
	for (queue = 0; queue < device.type->queues; queue++, low += STRIDE) {
		put(0x30, queue), put(0x38, size);
		put(0x80, low), put(0x84, high);
		put(0x90, low + 0x1000), put(0x94, high);
		put(0xa0, low + 0x2000), put(0xa4, high);
		put(0x44, 1);
	}
	put(0x70, 15);
}

/* A value of 64 bits of which some make sense. */
static uint64_t wild(void)
{
	uint64_t value = (uint64_t)rand() << 33 ^ (uint64_t)rand() << 11 ^ (uint64_t)rand();

	switch (pick(4)) {
	case 0:
		return value;
	case 1:
		return device.host.base + RAM_BYTES - 8 + pick(16);
	case 2:
		return value % 70;
	default:
		return device.host.base + pick(RAM_BYTES);
	}
}

/* In the rings of a queue. Of those with a direction of their own, the second takes buffers to read. */
static void scribble(unsigned int queue)
{
	uint8_t *rings = ram + STRIDE * queue;
	unsigned int index = pick(64);
	uint64_t address = wild(), rest = (uint64_t)pick(64) << 48 | (uint64_t)pick(16) << 32 | (wild() & 0xffffffff);
	uint16_t entry = (uint16_t)(pick(8) == 0 ? rand() : (int)pick(64));

	if (pick(3) != 0) /* a better one */
		rest = (uint64_t)pick(64) << 48 | (uint64_t)((queue == 0 ? 2 : 0) + pick(2)) << 32 | pick(0x800);
	memcpy(rings + 16 * index, &address, 8);
	memcpy(rings + 16 * index + 8, &rest, 8);
	memcpy(rings + 0x1004 + 2 * index, &entry, 2);
}

static void offer(unsigned int queue)
{
	uint16_t index = (uint16_t)(device.queues[queue].next_available + (pick(8) == 0 ? rand() : (int)pick(4)));

	memcpy(ram + STRIDE * queue + 0x1002, &index, 2);
	put(0x50, pick(10) == 0 ? (uint32_t)rand() : queue);
}

/* Use all of a chain's buffers. */
static void use(const struct virtio_chain *chain)
{
	unsigned int i, sum = 0;

	for (i = 0; i < chain->readable + chain->writable; i++) {
		uint8_t *bytes = chain->parts[i].iov_base;
		size_t size = chain->parts[i].iov_len;

		if (bytes < ram || bytes > ram + RAM_BYTES || size > (size_t)(ram + RAM_BYTES - bytes))
			abort();
		if (size != 0 && i >= chain->readable)
			bytes[0] = bytes[size - 1] = (uint8_t)rand();
		else if (size != 0)
			sum += bytes[0] + bytes[size - 1];
	}
	if (sum == UINT32_MAX)
		abort();
}

static void check(void)
{
	unsigned int i;

	if (level != (device.interrupts != 0) || level != device.level)
		abort();
	for (i = 0; i < VIRTIO_QUEUES; i++)
		if (device.queues[i].ready && device.queues[i].in_flight > device.queues[i].size)
			abort();
}

/* The guest's turn, and then what comes from outside; true: a chain was taken and looked at. */
static bool turn(unsigned int kind, unsigned int queue, struct virtio_chain *chain)
{
	bool taken = kind == KIND_KEEPER && virtio_pop(&device, queue, chain);

	if (taken)
		use(chain);
	if (kind == KIND_KEEPER && pick(2) != 0)
		virtio_push(&device, &kept[pick(KEPT)], (uint32_t)rand());
	if (kind == KIND_NET)
		poke_net(&device, pick(2) != 0 ? pick(256) : pick(65536));
	if (kind == KIND_CONSOLE)
		poke_console(pick(300));
	return taken;
}

/* Prints how many chains the device got and how often it was broken: both must have been reached. */
static void do_fuzz(unsigned int kind, uint64_t seed, uint64_t rounds)
{
	unsigned int taken = 0, broken = 0, used = 0, queue;
	uint64_t i;

	srand((unsigned int)seed);
	start(kind, pick(2) != 0, seed);
	for (i = 0; i < rounds; i++) {
		struct virtio_chain *chain = &kept[pick(KEPT)];
		bool was = (device.status & 64) != 0;

		if ((device.status & 64) != 0 || pick(200) == 0)
			set_up(1U << pick(7), kind == KIND_NET && pick(2) != 0 ? 1U << 15 : 0);
		if (pick(6) == 0)
			virtio_write(&device, pick(VIRTIO_BYTES), 1U << pick(4), (uint32_t)wild());
		(void)virtio_read(&device, pick(VIRTIO_BYTES), 1U << pick(4));
		queue = pick(device.type->queues);
		scribble(queue);
		offer(queue);
		taken += turn(kind, queue, chain);
		check();
		used += device.queues[0].next_used != 0 || device.queues[1].next_used != 0;
		broken += !was && (device.status & 64) != 0;
	}
	printf("%x %x %x\n", taken, broken, used);
}

/* ---- Commands ----------------------------------------------------------------------------------------------- */

void do_virtio(const char *name, const uint64_t *words)
{
	uint64_t value = 0;

	if (strcmp(name, "vinit") == 0)
		start((unsigned int)words[0], words[1] != 0, words[2]), printf("0\n");
	else if (strcmp(name, "vread") == 0)
		printf("%x\n", virtio_read(&device, (uint32_t)words[0], (unsigned int)words[1]));
	else if (strcmp(name, "vwrite") == 0)
		virtio_write(&device, (uint32_t)words[0], (unsigned int)words[1], (uint32_t)words[2]), printf("0\n");
	else if (strcmp(name, "vdeny") == 0)
		denied = words[0], printf("0\n");
	else if (strcmp(name, "vwithdraw") == 0)
		virtio_withdraw(&device, device.host.base + words[0], device.host.base + words[1]), printf("0\n");
	else if (strcmp(name, "vpeek") == 0)
		memcpy(&value, ram + words[0], words[1]), printf("%" PRIx64 "\n", value);
	else if (strcmp(name, "vpoke") == 0)
		memcpy(ram + words[0], &words[2], words[1]), printf("0\n");
	else if (strcmp(name, "vstate") == 0)
		printf("%x %x %x %x\n", level, changes, notified, resets);
	else if (strcmp(name, "vpop") == 0)
		do_pop((unsigned int)words[0], &kept[words[1]]);
	else if (strcmp(name, "vpush") == 0)
		virtio_push(&device, &kept[words[0]], (uint32_t)words[1]), printf("0\n");
	else if (strcmp(name, "vwiden") == 0)
		device.host.bytes = words[0], printf("0\n");
	else if (strcmp(name, "vstream") == 0)
		do_stream(words[0], words[1]);
	else if (strcmp(name, "vfuzz") == 0)
		do_fuzz((unsigned int)words[0], words[1], words[2]);
	else
		exit(2);
}

void do_device(const char *name, const uint64_t *words)
{
	do_net(&device, name, words);
}

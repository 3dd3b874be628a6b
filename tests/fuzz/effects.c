/* SPDX-License-Identifier: Apache-2.0 */
/* What the VMM does to the world outside, done in memory, with the promises that the device model makes checked. */
#include "effects.h"

#include <stdlib.h>
#include <string.h>

#include "blk.h"
#include "console.h"
#include "layout.h"
#include "tap.h"

#define MEDIUM_SECTORS 64U

static uint8_t medium[MEDIUM_SECTORS * SECTOR_BYTES];
static volatile uint8_t sink; /* what is read for the sake of the sanitizer */
static bool medium_fails;
static struct input *frames;  /* where arriving frames come from; NULL: none is there */

static void touch(const void *bytes, size_t count)
{
	const uint8_t *place = bytes;
	size_t i;

	for (i = 0; i < count; i++)
		sink = (uint8_t)(sink + place[i]);
}

/* ---- Console ------------------------------------------------------------------------------------------------ */

void console_write(struct console *console, const uint8_t *bytes, size_t count)
{
	(void)console;
	touch(bytes, count);
}

/* ---- Network ------------------------------------------------------------------------------------------------ */

void effects_frames(struct input *input)
{
	frames = input;
}

int tap_open(const char *name)
{
	(void)name;
	return 0;
}

int tap_set_address(const char *name, uint32_t address, unsigned int prefix)
{
	(void)name;
	(void)address;
	(void)prefix;
	return 0;
}

void tap_offload(int tap, bool checksum, bool segments)
{
	(void)tap;
	(void)checksum;
	(void)segments;
}

bool tap_send(int tap, const struct iovec *parts, unsigned int count)
{
	unsigned int i;

	(void)tap;
	for (i = 0; i < count; i++)
		touch(parts[i].iov_base, parts[i].iov_len);
	return true;
}

/* A size, and the first bytes of it; small frames are more frequent. */
ssize_t tap_receive(int tap, void *frame, size_t size)
{
	size_t count;

	(void)tap;
	if (frames == NULL || input_left(frames) == 0)
		return 0;
	count = input_below(frames, 4) == 0 ? input_below(frames, (uint32_t)size + 1) : input_below(frames, 1600);
	memset(frame, 0, count);
	input_bytes(frames, frame, count < 16 ? count : 16);
	frames = NULL;
	return (ssize_t)count;
}

/* ---- Disk --------------------------------------------------------------------------------------------------- */

void effects_medium(bool fails)
{
	medium_fails = fails;
}

static int transfer(void *context, bool write, struct iovec *parts, unsigned int count, uint64_t offset)
{
	const struct blk *blk = context;
	unsigned int i;

	if (write && !blk->device.writable)
		abort();
	for (i = 0; i < count; i++) {
		if (!within(offset, parts[i].iov_len, 0, sizeof(medium)))
			abort();
		if (write)
			memcpy(medium + offset, parts[i].iov_base, parts[i].iov_len);
		else
			memcpy(parts[i].iov_base, medium + offset, parts[i].iov_len);
		offset += parts[i].iov_len;
	}
	return medium_fails ? -1 : 0;
}

static int flush(void *context)
{
	(void)context;
	return medium_fails ? -1 : 0;
}

static void wake(void *context)
{
	(void)context;
}

/* The other thread finishes while the guest waits for its reset. */
static void settle(void *context)
{
	effects_work(context);
	if (((const struct blk *)context)->busy)
		abort();
}

void effects_work(struct blk *blk)
{
	if (!blk->busy) {
		blk->busy = virtio_blk_take(blk->slot, &blk->request);
		return;
	}
	virtio_blk_carry_out(&blk->device, &blk->request);
	blk->busy = false;
	virtio_blk_finish(blk->slot, &blk->request);
}

int blk_init(struct blk *blk, const struct options *options, const struct virtio_host *host)
{
	blk->device.medium = (struct virtio_blk_medium){
		.context = blk, .transfer = transfer, .flush = flush, .wake = wake, .settle = settle,
	};
	blk->device.sectors = MEDIUM_SECTORS;
	blk->device.writable = options->disk_writable;
	virtio_blk_init(blk->slot, &blk->device, VIRTIO_SLOT_BLK, host);
	return 0;
}

void blk_pause(struct blk *blk)
{
	if (blk->busy)
		effects_work(blk);
}

void blk_resume(struct blk *blk)
{
	(void)blk;
}

/* In the order of the VMM; there are no threads here. */
int blk_start(struct blk *blk)
{
	(void)blk;
	return 0;
}

void blk_stop(struct blk *blk)
{
	(void)blk;
}

void blk_close(struct blk *blk)
{
	(void)blk;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio_blk.h"

#include <string.h>

#include "layout.h"

#define ID 2U

#define FEATURE_SIZE_MAX (UINT64_C(1) << 1)
#define FEATURE_SEG_MAX  (UINT64_C(1) << 2)
#define FEATURE_RO       (UINT64_C(1) << 5)
#define FEATURE_FLUSH    (UINT64_C(1) << 9)
#define FEATURES         (FEATURE_SIZE_MAX | FEATURE_SEG_MAX | FEATURE_FLUSH)

/*
 * A realm bounces what is under way, and its pool may be small: a page for each entry is all that a disk takes of it at
 * once, a quarter of a mebibyte.
 */
#define RING       64U
#define PART_BYTES 4096U

/* Configuration, little-endian. */
#define CONFIG_CAPACITY 0U
#define CONFIG_SIZE_MAX 8U
#define CONFIG_SEG_MAX  12U

/* A request: this header, data, one byte of status. */
struct header {
	uint32_t type, reserved;
	uint64_t sector;
};

enum { TYPE_IN = 0, TYPE_OUT = 1, TYPE_FLUSH = 4, TYPE_GET_ID = 8 };
enum { STATUS_OK = 0, STATUS_IOERR = 1, STATUS_UNSUPP = 2 };

#define SECTOR 512U

/* ---- Parts of a request ------------------------------------------------------------------------------------- */

/* The data of a request: a copy of its parts without the header, or without the status. */
struct data {
	unsigned int count;
	uint64_t bytes;
	struct iovec parts[VIRTIO_QUEUE_SIZE];
};

static uint64_t total(const struct iovec *parts, unsigned int count)
{
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < count; i++)
		bytes += parts[i].iov_len;
	return bytes;
}

/* `bytes` of the parts from `skip` on, which are there. A driver may divide a request as it likes. */
static void cut(struct data *data, const struct iovec *parts, uint64_t skip, uint64_t bytes)
{
	struct iovec part;

	data->count = 0;
	data->bytes = bytes;
	for (; bytes > 0; parts++) {
		part = *parts;
		if (skip >= part.iov_len) {
			skip -= part.iov_len;
			continue;
		}
		part.iov_base = (uint8_t *)part.iov_base + skip;
		part.iov_len -= skip;
		skip = 0;
		if (part.iov_len > bytes)
			part.iov_len = bytes;
		bytes -= part.iov_len;
		data->parts[data->count++] = part;
	}
}

/* Between memory of ours, of data->bytes at least, and the parts. */
static void copy(const struct data *data, void *bytes, bool to_guest)
{
	uint8_t *place = bytes;
	unsigned int i;

	for (i = 0; i < data->count; i++) {
		if (to_guest)
			memcpy(data->parts[i].iov_base, place, data->parts[i].iov_len);
		else
			memcpy(place, data->parts[i].iov_base, data->parts[i].iov_len);
		place += data->parts[i].iov_len;
	}
}

/* ---- Requests ----------------------------------------------------------------------------------------------- */

static uint8_t transfer(struct virtio_blk *blk, bool write, uint64_t sector, struct data *data)
{
	if (data->bytes % SECTOR != 0 || !within(sector, data->bytes / SECTOR, 0, blk->sectors) || (write && !blk->writable))
		return STATUS_IOERR;
	if (data->bytes != 0 &&
	    blk->medium.transfer(blk->medium.context, write, data->parts, data->count, sector * SECTOR) < 0)
		return STATUS_IOERR;
	stat_add(blk->stats, write ? STAT_BLK_WRITES : STAT_BLK_READS);
	return STATUS_OK;
}

static uint8_t identify(const struct virtio_chain *chain, uint64_t room)
{
	uint8_t id[VIRTIO_BLK_ID_BYTES] = "rvmm";
	struct data data;

	if (room < sizeof(id))
		return STATUS_IOERR;
	cut(&data, &chain->parts[chain->readable], 0, sizeof(id));
	copy(&data, id, true);
	return STATUS_OK;
}

/* `room`: of the data that the guest gets. */
static uint8_t serve(struct virtio_blk *blk, const struct virtio_chain *chain, uint64_t given, uint64_t room)
{
	struct header header;
	struct data data;

	cut(&data, chain->parts, 0, sizeof(header));
	copy(&data, &header, false);
	switch (header.type) {
	case TYPE_IN:
		cut(&data, &chain->parts[chain->readable], 0, room);
		return transfer(blk, false, header.sector, &data);
	case TYPE_OUT:
		cut(&data, chain->parts, sizeof(header), given - sizeof(header));
		return transfer(blk, true, header.sector, &data);
	case TYPE_FLUSH:
		return blk->medium.flush(blk->medium.context) < 0 ? STATUS_IOERR : STATUS_OK;
	case TYPE_GET_ID:
		return identify(chain, room);
	default:
		return STATUS_UNSUPP;
	}
}

bool virtio_blk_take(struct virtio *device, struct virtio_blk_request *request)
{
	struct virtio_chain *chain = &request->chain;

	request->written = 0;
	if (!virtio_pop(device, 0, chain))
		return false;
	if (total(chain->parts, chain->readable) >= sizeof(struct header) &&
	    total(&chain->parts[chain->readable], chain->writable) >= 1)
		return true;
	/* Nowhere to read what is wanted from, or to say that it was not done. */
	virtio_break(device);
	return false;
}

void virtio_blk_carry_out(struct virtio_blk *blk, struct virtio_blk_request *request)
{
	const struct virtio_chain *chain = &request->chain;
	uint64_t given = total(chain->parts, chain->readable);
	uint64_t room = total(&chain->parts[chain->readable], chain->writable) - 1;
	uint8_t status = serve(blk, chain, given, room);
	struct data data;

	if (status != STATUS_OK)
		stat_add(blk->stats, STAT_BLK_ERRORS);
	cut(&data, &chain->parts[chain->readable], room, 1);
	copy(&data, &status, true);
	/* What is told to be written reaches from the first byte on: with an error, the data in front of the status is not. */
	request->written = status == STATUS_OK || room == 0 ? (uint32_t)room + 1 : 0;
}

void virtio_blk_finish(struct virtio *device, const struct virtio_blk_request *request)
{
	virtio_push(device, &request->chain, request->written);
}

/* ---- The device --------------------------------------------------------------------------------------------- */

static void notify(struct virtio *device, unsigned int queue)
{
	const struct virtio_blk *blk = device->context;

	(void)queue;
	blk->medium.wake(blk->medium.context);
}

static void reset(struct virtio *device)
{
	const struct virtio_blk *blk = device->context;

	/* The driver may use its buffers for something else now. */
	blk->medium.settle(blk->medium.context);
}

static const struct virtio_type read_only = { .id = ID, .queues = 1, .rings = { RING }, .notify = notify, .reset = reset,
					      .features = FEATURES | FEATURE_RO };
static const struct virtio_type writable = { .id = ID, .queues = 1, .rings = { RING }, .notify = notify, .reset = reset,
					     .features = FEATURES };

void virtio_blk_init(struct virtio *device, struct virtio_blk *blk, unsigned int slot, const struct virtio_host *host)
{
	const uint32_t segments = RING - 2; /* beside header and status */
	const uint32_t part = PART_BYTES;

	memset(blk->config, 0, sizeof(blk->config));
	memcpy(blk->config + CONFIG_CAPACITY, &blk->sectors, sizeof(blk->sectors));
	memcpy(blk->config + CONFIG_SIZE_MAX, &part, sizeof(part));
	memcpy(blk->config + CONFIG_SEG_MAX, &segments, sizeof(segments));
	virtio_init(device, blk->writable ? &writable : &read_only, blk, slot, host);
	device->config = blk->config;
	device->config_bytes = sizeof(blk->config);
}

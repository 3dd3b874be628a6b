/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio_mmio.h"

#include <stddef.h>

#include "virtqueue.h"

enum {
	MAGIC_VALUE = 0x000,
	VERSION = 0x004,
	DEVICE_ID = 0x008,
	VENDOR_ID = 0x00c,
	DEVICE_FEATURES = 0x010,
	DEVICE_FEATURES_SEL = 0x014,
	DRIVER_FEATURES = 0x020,
	DRIVER_FEATURES_SEL = 0x024,
	QUEUE_SEL = 0x030,
	QUEUE_SIZE_MAX = 0x034,
	QUEUE_SIZE = 0x038,
	QUEUE_READY = 0x044,
	QUEUE_NOTIFY = VIRTIO_QUEUE_NOTIFY,
	INTERRUPT_STATUS = 0x060,
	INTERRUPT_ACK = 0x064,
	STATUS = 0x070,
	QUEUE_DESC_LOW = 0x080,
	QUEUE_DESC_HIGH = 0x084,
	QUEUE_DRIVER_LOW = 0x090,
	QUEUE_DRIVER_HIGH = 0x094,
	QUEUE_DEVICE_LOW = 0x0a0,
	QUEUE_DEVICE_HIGH = 0x0a4,
	SHM_LEN_LOW = 0x0b0,
	SHM_BASE_HIGH = 0x0bc,
	CONFIG = 0x100,
};

#define MAGIC     0x74726976U /* "virt" */
#define VENDOR    0x6863726fU /* "orch" */

#define STATUS_FEATURES_OK 8U
#define STATUS_BY_DRIVER   (1U | 2U | VIRTIO_DRIVER_OK | STATUS_FEATURES_OK | 128U)

/* Virtio 1, and addresses that the guest's DMA layer has made: without it a realm's would be of memory we cannot see. */
#define FEATURE_VERSION_1       (UINT64_C(1) << 32)
#define FEATURE_ACCESS_PLATFORM (UINT64_C(1) << 33)
#define FEATURES_NEEDED         (FEATURE_VERSION_1 | FEATURE_ACCESS_PLATFORM)

/* ---- Reset -------------------------------------------------------------------------------------------------- */

static void stop_queue(struct virtio_queue *queue)
{
	*queue = (struct virtio_queue){ .epoch = queue->epoch + 1 };
}

static void reset(struct virtio *device)
{
	unsigned int i;

	for (i = 0; i < VIRTIO_QUEUES; i++)
		stop_queue(&device->queues[i]);
	device->accepted = 0;
	device->device_features_sel = device->driver_features_sel = device->queue_sel = device->status = 0;
	virtio_lower(device, device->interrupts);
	if (device->type->reset != NULL)
		device->type->reset(device);
}

/* ---- Negotiation -------------------------------------------------------------------------------------------- */

static uint64_t offered(const struct virtio *device)
{
	return device->type->features | FEATURES_NEEDED;
}

static uint32_t device_features(const struct virtio *device)
{
	return device->device_features_sel < 2 ? (uint32_t)(offered(device) >> 32 * device->device_features_sel) : 0;
}

static void set_half(uint64_t *value, unsigned int half, uint32_t word)
{
	*value = (*value & ~(UINT64_C(0xffffffff) << 32 * half)) | (uint64_t)word << 32 * half;
}

static void accept(struct virtio *device, uint32_t features)
{
	if (device->driver_features_sel < 2 && (device->status & STATUS_FEATURES_OK) == 0)
		set_half(&device->accepted, device->driver_features_sel, features);
}

/* A driver never takes a bit back but by a reset, and NEEDS_RESET is not its to set. */
static void write_status(struct virtio *device, uint32_t value)
{
	uint32_t status = device->status | (value & STATUS_BY_DRIVER), before = device->status;

	if (value == 0) {
		reset(device);
		return;
	}
	if ((device->accepted & FEATURES_NEEDED) != FEATURES_NEEDED || (device->accepted & ~offered(device)) != 0)
		status &= ~STATUS_FEATURES_OK;
	if ((status & STATUS_FEATURES_OK) == 0)
		status &= ~VIRTIO_DRIVER_OK;
	device->status = status;
	if ((status & ~before & VIRTIO_DRIVER_OK) != 0 && virtio_running(device) && device->type->start != NULL)
		device->type->start(device);
}

/* ---- Registers ---------------------------------------------------------------------------------------------- */

/* The queue that the driver has selected; NULL: there is none. */
static const struct virtio_queue *selected(const struct virtio *device)
{
	return device->queue_sel < device->type->queues ? &device->queues[device->queue_sel] : NULL;
}

/* Of the queue that the driver has selected. */
static uint32_t size_max(const struct virtio *device)
{
	unsigned int size;

	if (selected(device) == NULL)
		return 0;
	size = device->type->rings[device->queue_sel];
	return size != 0 ? size : VIRTIO_QUEUE_SIZE;
}

static uint32_t read_config(const struct virtio *device, uint32_t offset, unsigned int bytes)
{
	uint32_t value = 0;
	unsigned int i;

	for (i = 0; i < bytes && i < 4 && offset + i < device->config_bytes; i++)
		value |= (uint32_t)device->config[offset + i] << 8 * i;
	return value;
}

uint32_t virtio_read(const struct virtio *device, uint32_t offset, unsigned int bytes)
{
	const struct virtio_queue *queue = selected(device);

	if (offset >= CONFIG)
		return read_config(device, offset - CONFIG, bytes);
	if (bytes != 4)
		return 0;
	/* There is no shared memory, which is said by a length and a base of all ones. */
	if (offset >= SHM_LEN_LOW && offset <= SHM_BASE_HIGH)
		return UINT32_MAX;
	switch (offset) {
	case MAGIC_VALUE:
		return MAGIC;
	case VERSION:
		return 2;
	case DEVICE_ID:
		return device->type->id; /* 0: nobody is there */
	case VENDOR_ID:
		return VENDOR;
	case DEVICE_FEATURES:
		return device_features(device);
	case QUEUE_SIZE_MAX:
		return size_max(device);
	case QUEUE_READY:
		return queue != NULL && queue->ready;
	case INTERRUPT_STATUS:
		return device->interrupts;
	case STATUS:
		return device->status;
	default:
		return 0; /* also ConfigGeneration: a configuration does not change */
	}
}

static void write_ready(struct virtio *device, struct virtio_queue *queue, uint32_t value)
{
	if (value == 0 && queue->ready) {
		stop_queue(queue);
	} else if (value != 0 && !queue->ready) {
		queue->ready = virtqueue_start(device, queue);
		if (!queue->ready)
			virtio_break(device);
	}
}

static void write_queue(struct virtio *device, struct virtio_queue *queue, uint32_t offset, uint32_t value)
{
	unsigned int high = offset / 4 % 2;

	if (offset == QUEUE_READY) {
		write_ready(device, queue, value);
		return;
	}
	if (queue->ready)
		return;
	switch (offset) {
	case QUEUE_SIZE:
		queue->size = value;
		break;
	case QUEUE_DESC_LOW:
	case QUEUE_DESC_HIGH:
		set_half(&queue->descriptors_at, high, value);
		break;
	case QUEUE_DRIVER_LOW:
	case QUEUE_DRIVER_HIGH:
		set_half(&queue->available_at, high, value);
		break;
	case QUEUE_DEVICE_LOW:
	case QUEUE_DEVICE_HIGH:
		set_half(&queue->used_at, high, value);
		break;
	default:
		break;
	}
}

static void notify(struct virtio *device, uint32_t queue)
{
	if (virtio_running(device) && queue < device->type->queues && device->queues[queue].ready)
		device->type->notify(device, queue);
}

void virtio_write(struct virtio *device, uint32_t offset, unsigned int bytes, uint32_t value)
{
	if (bytes != 4)
		return;
	switch (offset) {
	case DEVICE_FEATURES_SEL:
		device->device_features_sel = value;
		break;
	case DRIVER_FEATURES:
		accept(device, value);
		break;
	case DRIVER_FEATURES_SEL:
		device->driver_features_sel = value;
		break;
	case QUEUE_SEL:
		device->queue_sel = value;
		break;
	case QUEUE_NOTIFY:
		notify(device, value);
		break;
	case INTERRUPT_ACK:
		virtio_lower(device, value);
		break;
	case STATUS:
		write_status(device, value);
		break;
	default:
		if (selected(device) != NULL)
			write_queue(device, &device->queues[device->queue_sel], offset, value);
		break;
	}
}

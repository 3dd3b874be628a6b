/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Without indirect descriptors and event indices. The rings are the guest's memory: each word is read once, by an atomic
 * load, and only the copy is looked at.
 */
#include "virtqueue.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the rings are little-endian, and so are we");

#define DESCRIPTOR_BYTES UINT64_C(16)
#define DESCRIPTOR_WORDS 2U

#define FLAG_NEXT     1U
#define FLAG_WRITE    2U
#define FLAG_INDIRECT 4U

/* Both rings: flags, index, entries, and two bytes of event index that nobody uses. */
#define INDEX                   1U
#define ENTRIES                 2U
#define AVAILABLE_BYTES(size)   (6 + 2 * (uint64_t)(size))
#define USED_BYTES(size)        (6 + 8 * (uint64_t)(size))
#define AVAILABLE_NO_INTERRUPT  1U
#define USED_NO_NOTIFY          1U

struct descriptor {
	uint64_t address;
	uint32_t size;
	unsigned int flags, next;
};

static void *map(const struct virtio *device, uint64_t address, uint64_t size, uint64_t align)
{
	return address % align == 0 ? virtio_at(device, address, size) : NULL;
}

bool virtqueue_start(const struct virtio *device, struct virtio_queue *queue)
{
	uint32_t size = queue->size;

	if (size == 0 || size > VIRTIO_QUEUE_SIZE || (size & (size - 1)) != 0)
		return false;
	queue->descriptors = map(device, queue->descriptors_at, DESCRIPTOR_BYTES * size, 16);
	queue->available = map(device, queue->available_at, AVAILABLE_BYTES(size), 2);
	queue->used = map(device, queue->used_at, USED_BYTES(size), 4);
	queue->next_available = queue->next_used = 0;
	queue->in_flight = 0;
	return queue->descriptors != NULL && queue->available != NULL && queue->used != NULL;
}

/* Is a part of the rings of a queue that is ready within [base, top)? */
static bool virtqueue_within(const struct virtio_queue *queue, uint64_t base, uint64_t top)
{
	const struct {
		uint64_t at, bytes;
	} rings[] = {
		{ queue->descriptors_at, DESCRIPTOR_BYTES * queue->size },
		{ queue->available_at, AVAILABLE_BYTES(queue->size) },
		{ queue->used_at, USED_BYTES(queue->size) },
	};
	unsigned int i;

	/* They are in memory: no sum of these overflows. */
	for (i = 0; queue->ready && i < sizeof(rings) / sizeof(rings[0]); i++)
		if (rings[i].at < top && base < rings[i].at + rings[i].bytes)
			return true;
	return false;
}

void virtio_withdraw(struct virtio *device, uint64_t base, uint64_t top)
{
	unsigned int i;

	for (i = 0; i < VIRTIO_QUEUES; i++)
		if (virtqueue_within(&device->queues[i], base, top))
			virtio_break(device);
}

static struct descriptor load_descriptor(const struct virtio_queue *queue, unsigned int index)
{
	const uint64_t *words = queue->descriptors + DESCRIPTOR_WORDS * index;
	uint64_t rest = __atomic_load_n(&words[1], __ATOMIC_RELAXED);

	return (struct descriptor){ .address = __atomic_load_n(&words[0], __ATOMIC_RELAXED), .size = (uint32_t)rest,
				    .flags = rest >> 32 & 0xffff, .next = (unsigned int)(rest >> 48) };
}

/* Append a buffer; false: it is not in memory, or one to read behind one to write. */
static bool append(const struct virtio *device, struct virtio_chain *chain, const struct descriptor *descriptor)
{
	void *bytes = virtio_at(device, descriptor->address, descriptor->size);
	bool write = (descriptor->flags & FLAG_WRITE) != 0;

	if (bytes == NULL || (descriptor->flags & FLAG_INDIRECT) != 0 || (!write && chain->writable != 0))
		return false;
	chain->parts[chain->readable + chain->writable] = (struct iovec){ .iov_base = bytes, .iov_len = descriptor->size };
	if (write)
		chain->writable++;
	else
		chain->readable++;
	return true;
}

/* Follow the chain from chain->head; false: it makes no sense. One that is longer than the table has a loop, and one of
 * 4 GiB has a length that cannot be told. */
static bool walk(const struct virtio *device, const struct virtio_queue *queue, struct virtio_chain *chain)
{
	struct descriptor descriptor = { .flags = FLAG_NEXT, .next = chain->head };
	uint64_t total = 0;

	while ((descriptor.flags & FLAG_NEXT) != 0) {
		if (descriptor.next >= queue->size || chain->readable + chain->writable == queue->size)
			return false;
		descriptor = load_descriptor(queue, descriptor.next);
		total += descriptor.size;
		if (total > UINT32_MAX || !append(device, chain, &descriptor))
			return false;
	}
	return true;
}

bool virtio_pop(struct virtio *device, unsigned int index, struct virtio_chain *chain)
{
	struct virtio_queue *queue = &device->queues[index];
	uint16_t pending;

	if (!virtio_running(device) || !queue->ready)
		return false;
	/* Acquire: what the driver wrote before it moved the index is there. */
	pending = (uint16_t)(__atomic_load_n(&queue->available[INDEX], __ATOMIC_ACQUIRE) - queue->next_available);
	if (pending == 0)
		return false;
	chain->queue = index;
	chain->epoch = queue->epoch;
	chain->readable = chain->writable = 0;
	chain->head = __atomic_load_n(&queue->available[ENTRIES + queue->next_available % queue->size], __ATOMIC_RELAXED);
	/* Each chain, waiting or taken, has a descriptor of its own at least. */
	if (pending > queue->size - queue->in_flight || !walk(device, queue, chain)) {
		virtio_break(device);
		return false;
	}
	queue->next_available++;
	queue->in_flight++;
	return true;
}

unsigned int virtio_pending(const struct virtio *device, unsigned int index)
{
	const struct virtio_queue *queue = &device->queues[index];
	uint16_t pending;

	if (!virtio_running(device) || !queue->ready)
		return 0;
	pending = (uint16_t)(__atomic_load_n(&queue->available[INDEX], __ATOMIC_RELAXED) - queue->next_available);
	return pending <= queue->size - queue->in_flight ? pending : 1;
}

void virtio_want_notifications(struct virtio *device, unsigned int index, bool wanted)
{
	struct virtio_queue *queue = &device->queues[index];

	if (!virtio_running(device) || !queue->ready)
		return;
	__atomic_store_n((uint16_t *)(void *)queue->used, wanted ? 0 : USED_NO_NOTIFY, __ATOMIC_RELAXED);
	/* The driver moves its index, then looks at the flag; we set the flag, then look at its index. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void virtio_unpop(struct virtio *device, unsigned int index, unsigned int count)
{
	struct virtio_queue *queue = &device->queues[index];

	queue->next_available = (uint16_t)(queue->next_available - count);
	queue->in_flight -= count;
}

void virtio_stage(struct virtio *device, unsigned int index, unsigned int head, uint32_t written)
{
	struct virtio_queue *queue = &device->queues[index];
	uint32_t *entry = (uint32_t *)(void *)(queue->used + 4) + 2 * (queue->next_used % queue->size);

	__atomic_store_n(&entry[0], head, __ATOMIC_RELAXED);
	__atomic_store_n(&entry[1], written, __ATOMIC_RELAXED);
	queue->in_flight--;
	queue->next_used++;
}

void virtio_publish(struct virtio *device, unsigned int index)
{
	struct virtio_queue *queue = &device->queues[index];

	/* Release: the entries and the buffers are there before the index moves. */
	__atomic_store_n((uint16_t *)(void *)queue->used + INDEX, queue->next_used, __ATOMIC_RELEASE);
	/* The driver allows interrupts, then looks at our index; we move it, then look whether they are allowed. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if ((__atomic_load_n(&queue->available[0], __ATOMIC_RELAXED) & AVAILABLE_NO_INTERRUPT) == 0)
		virtio_raise(device, VIRTIO_INTERRUPT_USED);
}

void virtio_push(struct virtio *device, const struct virtio_chain *chain, uint32_t written)
{
	const struct virtio_queue *queue = &device->queues[chain->queue];

	if (!virtio_running(device) || !queue->ready || chain->epoch != queue->epoch || queue->in_flight == 0)
		return;
	virtio_stage(device, chain->queue, chain->head, written);
	virtio_publish(device, chain->queue);
}

size_t virtio_scatter(const struct virtio_chain *chain, const uint8_t *bytes, size_t size)
{
	const struct iovec *parts = &chain->parts[chain->readable];
	size_t done = 0, count;
	unsigned int i;

	for (i = 0; i < chain->writable && done < size; i++) {
		count = parts[i].iov_len < size - done ? parts[i].iov_len : size - done;
		memcpy(parts[i].iov_base, bytes + done, count);
		done += count;
	}
	return done;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio 1.2 over MMIO (version 2): registers and negotiation in virtio.c, split virtqueues in virtqueue.c; a device is a
 * struct virtio_type. Pure logic. Callers hold the device lock: notify() and reset() run under it, and whoever completes
 * a chain later, from another thread, takes it too.
 *
 * The guest may write anything anywhere at any time. Content of a queue that makes no sense breaks the device: it asks for
 * a reset (DEVICE_NEEDS_RESET) and does nothing until it gets it.
 */
#ifndef RVMM_VIRTIO_H
#define RVMM_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define VIRTIO_QUEUES     4U
#define VIRTIO_QUEUE_SIZE 256U /* the largest */

#define VIRTIO_QUEUE_NOTIFY 0x050U /* the register */

struct virtio;

struct virtio_type {
	uint32_t id;
	unsigned int queues;
	unsigned int ring;          /* entries that a queue should have at most; 0: VIRTIO_QUEUE_SIZE */
	uint64_t features;          /* beside those of the transport */
	/* There may be something new in a queue. Take no more than VIRTIO_QUEUE_SIZE chains: each further one has its own
	 * notification, and a guest that adds without end must not keep the lock. */
	void (*notify)(struct virtio *device, unsigned int queue);
	/* The driver has finished its set-up: `accepted` stays as it is until the reset. NULL: nothing to be done. */
	void (*start)(struct virtio *device);
	/* The guest resets it: forget all chains. NULL: none is ever kept. */
	void (*reset)(struct virtio *device);
};

/* What a device has of its guest. */
struct virtio_host {
	uint8_t *ram;               /* mapped here ... */
	uint64_t base, bytes;       /* ... and where devices see it: what is not in here, no device touches */
	void *context;
	void (*interrupt)(void *context, unsigned int slot, bool level); /* the level has changed */
	bool (*usable)(void *context, uint64_t address, uint64_t size);  /* of that, may it be touched now? NULL: always */
};

struct virtio_queue {
	/* Registers; fixed while it is ready. */
	uint32_t size;
	uint64_t descriptors_at, available_at, used_at;
	bool ready;
	/* The rest is of a queue that is ready. */
	const uint64_t *descriptors;
	const uint16_t *available;
	uint8_t *used;
	uint16_t next_available, next_used;
	unsigned int in_flight;     /* chains taken and not given back */
	uint32_t epoch;             /* which life of the queue: chains of an earlier one are void */
};

struct virtio {
	const struct virtio_type *type;
	void *context;              /* the type's */
	const uint8_t *config;      /* what the guest reads, set behind virtio_init(); NULL: nothing */
	unsigned int config_bytes;
	unsigned int slot;
	struct virtio_host host;
	struct virtio_queue queues[VIRTIO_QUEUES];
	uint64_t accepted;          /* features, as the driver writes them */
	uint32_t device_features_sel, driver_features_sel, queue_sel, status, interrupts;
	bool level;
};

/* Buffers of one request, checked and in memory of ours: first those to read, then those to write. What is in them may
 * change while one looks. */
struct virtio_chain {
	unsigned int queue, head;
	uint32_t epoch;
	unsigned int readable, writable;
	struct iovec parts[VIRTIO_QUEUE_SIZE];
};

/* A device as after a reset. */
void virtio_init(struct virtio *device, const struct virtio_type *type, void *context, unsigned int slot,
		 const struct virtio_host *host);

/* Accesses of 1, 2, 4 or 8 bytes within the device's VIRTIO_BYTES. */
uint32_t virtio_read(const struct virtio *device, uint32_t offset, unsigned int bytes);
void virtio_write(struct virtio *device, uint32_t offset, unsigned int bytes, uint32_t value);

/* Where [address, address + size) of the guest is mapped here; NULL: not all of it is memory that devices may touch. */
void *virtio_at(const struct virtio *device, uint64_t address, uint64_t size);

/* Has the driver finished its set-up, and is the device not broken? */
bool virtio_running(const struct virtio *device);

/* Take the next chain; false: there is none, or it broke the device. */
bool virtio_pop(struct virtio *device, unsigned int queue, struct virtio_chain *chain);

/* How many chains wait to be taken; what makes no sense counts as one, and breaks the device when it is taken. */
unsigned int virtio_pending(const struct virtio *device, unsigned int queue);

/* Tell the driver whether notifications of this queue are of use. When they are so again, look once more for what came
 * meanwhile. */
void virtio_want_notifications(struct virtio *device, unsigned int queue, bool wanted);

/* Put the chains taken last back, as if they had not been taken: nothing was pushed since. */
void virtio_unpop(struct virtio *device, unsigned int queue, unsigned int count);

/* virtio_push() in two steps, for several chains that the driver is to see at once. Under one hold of the lock with the
 * virtio_pop() of all of them. */
void virtio_stage(struct virtio *device, unsigned int queue, unsigned int head, uint32_t written);
void virtio_publish(struct virtio *device, unsigned int queue);

/* Give it back, `written` bytes into the buffers to write, and tell the driver. */
void virtio_push(struct virtio *device, const struct virtio_chain *chain, uint32_t written);

/* Copy into the chain's buffers to write; how much of it they took. */
size_t virtio_scatter(const struct virtio_chain *chain, const uint8_t *bytes, size_t size);

/* A request that makes no sense. */
void virtio_break(struct virtio *device);

/* The guest takes [base, top) of the addresses that devices see away: a device with a ring there breaks, and touches it no
 * more. Its buffers there are found when it takes them. */
void virtio_withdraw(struct virtio *device, uint64_t base, uint64_t top);

/* ---- Between virtio.c and virtqueue.c ----------------------------------------------------------------------- */

#define VIRTIO_INTERRUPT_USED   1U
#define VIRTIO_INTERRUPT_CONFIG 2U

void virtio_raise(struct virtio *device, uint32_t interrupt);

/* Map the queue's rings as the registers tell; false: they make no sense. */
bool virtqueue_start(const struct virtio *device, struct virtio_queue *queue);

/* Is a part of the rings of a queue that is ready within [base, top)? */
bool virtqueue_within(const struct virtio_queue *queue, uint64_t base, uint64_t top);

#endif

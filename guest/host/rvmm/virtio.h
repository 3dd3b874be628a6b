/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio 1.2 over MMIO (version 2): a device's state is here, its split virtqueues are in virtqueue.h, the registers and the
 * negotiation behind them in virtio_mmio.h; a device is a struct virtio_type. Pure logic. Callers hold the device lock:
 * notify() and reset() run under it, and whoever completes a chain later, from another thread, takes it too.
 *
 * The guest may write anything anywhere at any time. Content of a queue that makes no sense breaks the device: it asks for
 * a reset (DEVICE_NEEDS_RESET) and does nothing until it gets it.
 */
#ifndef RVMM_VIRTIO_H
#define RVMM_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_QUEUES     4U
#define VIRTIO_QUEUE_SIZE 256U /* the largest */

struct virtio;

struct virtio_type {
	uint32_t id;
	unsigned int queues;
	unsigned int rings[VIRTIO_QUEUES]; /* entries that a queue should have at most; 0: VIRTIO_QUEUE_SIZE */
	uint64_t features;                 /* beside those of the transport */
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

/* Of the status (2.1), what the device itself looks at. */
#define VIRTIO_DRIVER_OK   4U
#define VIRTIO_NEEDS_RESET 64U

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

/* A device as after a reset. */
void virtio_init(struct virtio *device, const struct virtio_type *type, void *context, unsigned int slot,
		 const struct virtio_host *host);

/* Where [address, address + size) of the guest is mapped here; NULL: not all of it is memory that devices may touch. */
void *virtio_at(const struct virtio *device, uint64_t address, uint64_t size);

/* Has the driver finished its set-up, and is the device not broken? */
bool virtio_running(const struct virtio *device);

/* A request that makes no sense. */
void virtio_break(struct virtio *device);

#define VIRTIO_INTERRUPT_USED   1U
#define VIRTIO_INTERRUPT_CONFIG 2U

/* The driver has something to look at; what it has looked at. */
void virtio_raise(struct virtio *device, uint32_t interrupt);
void virtio_lower(struct virtio *device, uint32_t interrupts);

#endif

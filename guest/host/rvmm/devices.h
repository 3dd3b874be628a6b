/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices of a guest: UART, clock and those in the virtio slots, behind one lock. What they need of the guest that they
 * belong to is struct devices_host; they know nothing else of it.
 */
#ifndef RVMM_DEVICES_H
#define RVMM_DEVICES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "blk.h"
#include "console.h"
#include "entropy.h"
#include "gate.h"
#include "keyboard.h"
#include "layout.h"
#include "net.h"
#include "options.h"
#include "pl011.h"
#include "pl031.h"
#include "stats.h"
#include "virtio.h"
#include "virtio_console.h"

struct devices_host {
	uint8_t *ram;               /* what devices may see of the guest's memory is mapped here ... */
	uint64_t base, bytes;       /* ... and they see it there */
	struct console *console;    /* where the guest prints */
	struct gate *gate;
	struct stats *stats;
	void *context;
	/* Level of an SPI; -1 with failure(). */
	int (*set_irq)(void *context, unsigned int spi, bool level);
	/* Of the memory, may this be touched now? NULL: all of it. */
	bool (*shares)(void *context, uint64_t address, uint64_t size);
	/* The main thread is to look at everything again. */
	void (*wake)(void *context);
	/* The guest cannot go on: failure() says why. */
	void (*failed)(void *context);
};

/* One of the user's, which may be written, and that of the runtime. */
enum { DISK_OWN, DISK_RUNTIME, DISKS };

struct devices {
	struct devices_host host;
	pthread_mutex_t lock;       /* protects: */
	struct pl011 uart;
	bool uart_level;
	struct pl031 rtc;
	struct virtio virtio[VIRTIO_SLOTS];
	struct entropy entropy;
	struct blk disks[DISKS];
	struct net net;
	struct virtio_console console;
	struct keyboard keyboard;
};

/* All of them, before the first vCPU runs; what `devices` points to is zero. -1 with failure(). devices_close() in both
 * cases. */
int devices_init(struct devices *devices, const struct devices_host *host, const struct options *options);

/* Make their threads, which wait at the gate; how many, or -1 with failure(). */
int devices_start(struct devices *devices);

/* Wait for these threads. vCPUs must not be gone yet: they are interrupted. */
void devices_stop(struct devices *devices);

/* Let go of what is outside of the process. */
void devices_close(struct devices *devices);

/* A vCPU's access of 1, 2, 4 or 8 bytes; *value is what it writes, or gets what it reads. 1: done, 0: nothing is there,
 * -1 with failure(). */
int devices_access(struct devices *devices, uint64_t address, unsigned int bytes, bool write, uint64_t *value);

/* How many bytes of input the guest takes; give it some. */
size_t devices_input_room(struct devices *devices);
void devices_input(struct devices *devices, const uint8_t *bytes, size_t count);

/*
 * A realm takes [base, top) of its RAM (IPAs without the shared bit) back. Between the two calls no device touches memory,
 * and after that none does there, if shares() says so by then. The first takes the device lock, the second lets go of it:
 * what is locked in between comes behind it.
 */
void devices_withdraw(struct devices *devices, uint64_t base, uint64_t top);
void devices_resume(struct devices *devices);

#endif

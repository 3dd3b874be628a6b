/* SPDX-License-Identifier: Apache-2.0 */
/* The console device (virtio 1.2, 5.3) with one port, whose size nobody tells. Pure logic, under the device lock. */
#ifndef RVMM_VIRTIO_CONSOLE_H
#define RVMM_VIRTIO_CONSOLE_H

#include <stddef.h>

#include "virtio.h"

/* The longest request to print; drivers print by pages. */
#define VIRTIO_CONSOLE_BYTES 65536U

struct virtio_console {
	void *context;
	void (*output)(void *context, const uint8_t *bytes, size_t count); /* from the guest's memory: it may change */
	void (*changed)(void *context); /* it takes input again, or has been taken into or out of use */
	bool in_use;
};

/* A device in `slot`; `console` stays where it is, its functions filled in. */
void virtio_console_init(struct virtio *device, struct virtio_console *console, unsigned int slot,
			 const struct virtio_host *host);

/* Has the guest printed here since the last reset? A driver alone does not mean that anybody reads: Linux drops what
 * it gets as long as no program has the terminal open. */
bool virtio_console_in_use(const struct virtio *device);

/* Does it take input now? If not, changed() is called when it does. */
bool virtio_console_has_room(struct virtio *device);

/* Give the guest bytes; how many it took. */
size_t virtio_console_receive(struct virtio *device, const uint8_t *bytes, size_t count);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio.h"

#include <stddef.h>

#include "layout.h"

void virtio_init(struct virtio *device, const struct virtio_type *type, void *context, unsigned int slot,
		 const struct virtio_host *host)
{
	*device = (struct virtio){ .type = type, .context = context, .slot = slot, .host = *host };
}

void *virtio_at(const struct virtio *device, uint64_t address, uint64_t size)
{
	if (!within(address, size, device->host.base, device->host.bytes) ||
	    (device->host.usable != NULL && !device->host.usable(device->host.context, address, size)))
		return NULL;
	return device->host.ram + (address - device->host.base);
}

bool virtio_running(const struct virtio *device)
{
	return (device->status & (VIRTIO_DRIVER_OK | VIRTIO_NEEDS_RESET)) == VIRTIO_DRIVER_OK;
}

static void set_interrupts(struct virtio *device, uint32_t interrupts)
{
	bool level = interrupts != 0;

	device->interrupts = interrupts;
	if (level == device->level)
		return;
	device->level = level;
	device->host.interrupt(device->host.context, device->slot, level);
}

void virtio_raise(struct virtio *device, uint32_t interrupt)
{
	set_interrupts(device, device->interrupts | interrupt);
}

void virtio_lower(struct virtio *device, uint32_t interrupts)
{
	set_interrupts(device, device->interrupts & ~interrupts);
}

void virtio_break(struct virtio *device)
{
	if ((device->status & VIRTIO_NEEDS_RESET) != 0)
		return;
	device->status |= VIRTIO_NEEDS_RESET;
	if ((device->status & VIRTIO_DRIVER_OK) != 0)
		virtio_raise(device, VIRTIO_INTERRUPT_CONFIG);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "devices.h"

#include <time.h>

#include "error.h"
#include "virtio_mmio.h"
#include "virtio_rng.h"
#include "virtqueue.h"

/* ---- The UART ---------------------------------------------------------------------------------------------- */

static void transmit(void *context, uint8_t byte)
{
	const struct devices *devices = context;

	console_write(devices->host.console, &byte, 1);
}

/* Tell the interrupt controller when the UART's line has changed; under the device lock. */
static int update_uart(struct devices *devices)
{
	bool level = pl011_interrupt(&devices->uart);

	if (level == devices->uart_level)
		return 0;
	devices->uart_level = level;
	return devices->host.set_irq(devices->host.context, UART_SPI, level);
}

static int access_uart(struct devices *devices, uint32_t offset, bool write, uint64_t *value)
{
	size_t room;
	int result;

	(void)pthread_mutex_lock(&devices->lock);
	room = pl011_room(&devices->uart);
	if (write)
		pl011_write(&devices->uart, offset, (uint32_t)*value);
	else
		*value = pl011_read(&devices->uart, offset);
	result = update_uart(devices);
	if (room == 0 && pl011_room(&devices->uart) != 0)
		devices->host.wake(devices->host.context);
	(void)pthread_mutex_unlock(&devices->lock);
	return result;
}

size_t devices_input_room(struct devices *devices)
{
	size_t room;

	(void)pthread_mutex_lock(&devices->lock);
	room = keyboard_room(&devices->keyboard);
	if (update_uart(devices) < 0)
		devices->host.failed(devices->host.context);
	(void)pthread_mutex_unlock(&devices->lock);
	return room;
}

void devices_input(struct devices *devices, const uint8_t *bytes, size_t count)
{
	(void)pthread_mutex_lock(&devices->lock);
	keyboard_type(&devices->keyboard, bytes, count);
	if (update_uart(devices) < 0)
		devices->host.failed(devices->host.context);
	(void)pthread_mutex_unlock(&devices->lock);
}

/* ---- The clock --------------------------------------------------------------------------------------------- */

static void access_rtc(struct devices *devices, uint32_t offset, bool write, uint64_t *value)
{
	struct timespec now = { .tv_sec = 0 };

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)pthread_mutex_lock(&devices->lock);
	if (write)
		pl031_write(&devices->rtc, offset, (uint32_t)*value, (uint32_t)now.tv_sec);
	else
		*value = pl031_read(&devices->rtc, offset, (uint32_t)now.tv_sec);
	(void)pthread_mutex_unlock(&devices->lock);
}

/* ---- Virtio; under the device lock, from any thread -------------------------------------------------------- */

static void set_line(void *context, unsigned int slot, bool level)
{
	const struct devices_host *host = &((const struct devices *)context)->host;

	if (level)
		stat_add(host->stats, STAT_VIRTIO_INTERRUPT);
	if (host->set_irq(host->context, VIRTIO_FIRST_SPI + slot, level) < 0)
		host->failed(host->context);
}

static bool usable(void *context, uint64_t address, uint64_t size)
{
	const struct devices_host *host = &((const struct devices *)context)->host;

	return host->shares(host->context, address, size);
}

static void print(void *context, const uint8_t *bytes, size_t count)
{
	const struct devices *devices = context;

	console_write(devices->host.console, bytes, count);
}

static void input_changed(void *context)
{
	const struct devices_host *host = &((const struct devices *)context)->host;

	host->wake(host->context);
}

static int init_disks(struct devices *devices, const struct options *options, const struct virtio_host *host)
{
	struct blk *own = &devices->disks[DISK_OWN], *runtime = &devices->disks[DISK_RUNTIME];

	if (blk_init(own, VIRTIO_SLOT_BLK, options->disk, options->disk_writable, host) < 0)
		return -1;
	return blk_init(runtime, VIRTIO_SLOT_RUNTIME, options->runtime, false, host);
}

/* An empty slot: a driver that finds the id 0 goes away. */
static const struct virtio_type nobody = { .id = 0 };

static int init_virtio(struct devices *devices, const struct options *options)
{
	const struct devices_host *outside = &devices->host;
	const struct virtio_host host = {
		.ram = outside->ram, .base = outside->base, .bytes = outside->bytes, .context = devices,
		.interrupt = set_line, .usable = outside->shares != NULL ? usable : NULL,
	};
	unsigned int slot;

	for (slot = 0; slot < VIRTIO_SLOTS; slot++)
		virtio_init(&devices->virtio[slot], &nobody, NULL, slot, &host);
	devices->entropy = (struct entropy){ .seeded = options->seeded, .state = options->seed };
	virtio_rng_init(&devices->virtio[VIRTIO_SLOT_RNG], &devices->entropy, VIRTIO_SLOT_RNG, &host);
	devices->console = (struct virtio_console){ .context = devices, .output = print, .changed = input_changed };
	virtio_console_init(&devices->virtio[VIRTIO_SLOT_CONSOLE], &devices->console, VIRTIO_SLOT_CONSOLE, &host);
	return net_init(&devices->net, options, &host) < 0 ? -1 : init_disks(devices, options, &host);
}

static int access_virtio(struct devices *devices, uint64_t place, unsigned int bytes, bool write, uint64_t *value)
{
	uint32_t offset = (uint32_t)(place % VIRTIO_BYTES);
	struct virtio *device = &devices->virtio[place / VIRTIO_BYTES];

	if (offset + bytes > VIRTIO_BYTES)
		return 0;
	if (write && offset == VIRTIO_QUEUE_NOTIFY)
		stat_add(devices->host.stats, STAT_VIRTIO_NOTIFY);
	(void)pthread_mutex_lock(&devices->lock);
	if (write)
		virtio_write(device, offset, bytes, (uint32_t)*value);
	else
		*value = virtio_read(device, offset, bytes);
	(void)pthread_mutex_unlock(&devices->lock);
	return 1;
}

void devices_withdraw(struct devices *devices, uint64_t base, uint64_t top)
{
	unsigned int slot, i;

	(void)pthread_mutex_lock(&devices->lock);
	for (i = 0; i < DISKS; i++)
		blk_pause(&devices->disks[i]);
	for (slot = 0; slot < VIRTIO_SLOTS; slot++)
		virtio_withdraw(&devices->virtio[slot], shared_ipa(base), shared_ipa(top));
}

void devices_resume(struct devices *devices)
{
	unsigned int i;

	for (i = 0; i < DISKS; i++)
		blk_resume(&devices->disks[i]);
	(void)pthread_mutex_unlock(&devices->lock);
}

/* ---- All --------------------------------------------------------------------------------------------------- */

int devices_access(struct devices *devices, uint64_t address, unsigned int bytes, bool write, uint64_t *value)
{
	if (within(address, bytes, UART_BASE, UART_BYTES))
		return access_uart(devices, (uint32_t)(address - UART_BASE), write, value) < 0 ? -1 : 1;
	if (within(address, bytes, RTC_BASE, RTC_BYTES)) {
		access_rtc(devices, (uint32_t)(address - RTC_BASE), write, value);
		return 1;
	}
	if (within(address, bytes, VIRTIO_BASE, VIRTIO_SLOTS * VIRTIO_BYTES))
		return access_virtio(devices, address - VIRTIO_BASE, bytes, write, value);
	return 0;
}

static void prepare_disk(struct devices *devices, struct blk *disk, unsigned int slot)
{
	disk->slot = &devices->virtio[slot];
	disk->lock = &devices->lock;
	disk->gate = devices->host.gate;
	disk->device.stats = devices->host.stats;
}

int devices_init(struct devices *devices, const struct devices_host *host, const struct options *options)
{
	devices->host = *host;
	(void)pthread_mutex_init(&devices->lock, NULL);
	pl011_init(&devices->uart, transmit, devices);
	devices->keyboard = (struct keyboard){ .uart = &devices->uart, .console = &devices->virtio[VIRTIO_SLOT_CONSOLE] };
	devices->net.slot = &devices->virtio[VIRTIO_SLOT_NET];
	devices->net.lock = &devices->lock;
	devices->net.wake = host->wake;
	devices->net.context = host->context;
	devices->net.device.stats = host->stats;
	prepare_disk(devices, &devices->disks[DISK_OWN], VIRTIO_SLOT_BLK);
	prepare_disk(devices, &devices->disks[DISK_RUNTIME], VIRTIO_SLOT_RUNTIME);
	return init_virtio(devices, options);
}

int devices_start(struct devices *devices)
{
	int own = blk_start(&devices->disks[DISK_OWN]);
	int runtime = own < 0 ? -1 : blk_start(&devices->disks[DISK_RUNTIME]);

	return runtime < 0 ? -1 : own + runtime;
}

void devices_stop(struct devices *devices)
{
	unsigned int i;

	for (i = 0; i < DISKS; i++)
		blk_stop(&devices->disks[i]);
}

void devices_close(struct devices *devices)
{
	unsigned int i;

	net_close(&devices->net);
	for (i = 0; i < DISKS; i++)
		blk_close(&devices->disks[i]);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "vm_virtio.h"

#include "error.h"
#include "virtio_rng.h"

/* Under the device lock, from any thread. */
static void set_line(void *context, unsigned int slot, bool level)
{
	struct vm *vm = context;

	if (level)
		stat_add(&vm->stats, STAT_VIRTIO_INTERRUPT);
	if (vm->backend->set_irq(vm, VIRTIO_FIRST_SPI + slot, level) < 0)
		vm_end(vm, OUTCOME_ERROR, failure());
}

static void print(void *context, const uint8_t *bytes, size_t count)
{
	console_write(((struct vm *)context)->console, bytes, count);
}

static void input_changed(void *context)
{
	vm_wake(context);
}

/* An empty slot: a driver that finds the id 0 goes away. */
static const struct virtio_type nobody = { .id = 0 };

int vm_virtio_init(struct vm *vm)
{
	/* Devices see of a realm what it shares, and nothing else: its addresses are those of the other half. */
	const struct virtio_host host = {
		.ram = vm->ram,
		.base = RAM_BASE | (vm->options->world == WORLD_REALM ? IPA_UNPROTECTED : 0),
		.bytes = vm->content->layout.ram_bytes,
		.context = vm,
		.interrupt = set_line,
		.usable = vm->backend->shares,
	};
	unsigned int slot;

	for (slot = 0; slot < VIRTIO_SLOTS; slot++)
		virtio_init(&vm->virtio[slot], &nobody, NULL, slot, &host);
	vm->entropy = (struct entropy){ .seeded = vm->options->seeded, .state = vm->options->seed };
	virtio_rng_init(&vm->virtio[VIRTIO_SLOT_RNG], &vm->entropy, VIRTIO_SLOT_RNG, &host);
	vm->virtio_console = (struct virtio_console){ .context = vm, .output = print, .changed = input_changed };
	virtio_console_init(&vm->virtio[VIRTIO_SLOT_CONSOLE], &vm->virtio_console, VIRTIO_SLOT_CONSOLE, &host);
	return vm_net_init(vm, &host) < 0 ? -1 : vm_blk_init(vm, &host);
}

void vm_virtio_withdraw(struct vm *vm, uint64_t base, uint64_t top)
{
	unsigned int slot;

	(void)pthread_mutex_lock(&vm->devices);
	vm_blk_pause(vm);
	for (slot = 0; slot < VIRTIO_SLOTS; slot++)
		virtio_withdraw(&vm->virtio[slot], shared_ipa(base), shared_ipa(top));
}

void vm_virtio_resume(struct vm *vm)
{
	vm_blk_resume(vm);
	(void)pthread_mutex_unlock(&vm->devices);
}

bool vm_virtio_access(struct vm *vm, const struct vm_exit *exit, uint64_t *value)
{
	uint64_t place = exit->address - VIRTIO_BASE;
	uint32_t offset = (uint32_t)(place % VIRTIO_BYTES);
	struct virtio *device;

	if (!within(exit->address, exit->bytes, VIRTIO_BASE, VIRTIO_SLOTS * VIRTIO_BYTES) ||
	    offset + exit->bytes > VIRTIO_BYTES)
		return false;
	device = &vm->virtio[place / VIRTIO_BYTES];
	if (exit->write && offset == VIRTIO_QUEUE_NOTIFY)
		stat_add(&vm->stats, STAT_VIRTIO_NOTIFY);
	(void)pthread_mutex_lock(&vm->devices);
	if (exit->write)
		virtio_write(device, offset, exit->bytes, (uint32_t)exit->value);
	else
		*value = virtio_read(device, offset, exit->bytes);
	(void)pthread_mutex_unlock(&vm->devices);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a guest that does anything to the VMM's devices. An input is a world and a list of operations, of which
 * some are what a driver does, so that the rest is reached. Dispatch and wiring are the VMM's own (vm.c, devices.c,
 * net.c); its effects are in effects.c. There is nothing around the guest's memory, and what the guest does not share is
 * poisoned: a device that touches either crashes here.
 */
#define _GNU_SOURCE
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <sys/mman.h>

static void *guarded_mmap(void *address, size_t size, int protection, int flags, int fd, long offset);
static int guarded_munmap(void *address, size_t size);
#define mmap   guarded_mmap
#define munmap guarded_munmap
#include "vm.c"
#undef mmap
#undef munmap

#include "effects.h"
#include "gic.h"
#include "gic_mmio.h"
#include "input.h"
#include "timer.h"
#include "virtio_mmio.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define VCPUS      2U
#define OPERATIONS 4096U /* of one input at most */

/*
 * The guest's memory: 16 KiB for each virtqueue (descriptors, then the rings), then buffers. The last pages are not shared
 * at first.
 */
#define QUEUES       8U /* two a device, the most that any has */
#define QUEUE_BYTES  0x4000U
#define AVAILABLE_AT 0x1000U
#define USED_AT      0x2000U
#define BUFFERS_AT   (QUEUES * QUEUE_BYTES)
#define RAM_BYTES    0x30000U
#define PAGES        (RAM_BYTES / (uint32_t)PAGE_BYTES)
#define PRIVATE      4U

static struct guest {
	struct vm vm;
	struct options options;
	struct content content;
	struct gic gic;
	bool shared[PAGES], inside[VCPUS];
	uint64_t lrs[VCPUS][GIC_MAX_LRS], hcr[VCPUS], now;
	struct timer timers[VCPUS];
	uint16_t offered[QUEUES];
} guest;

static void promise(bool kept)
{
	if (!kept)
		abort();
}

/* ---- Memory ------------------------------------------------------------------------------------------------- */

/* As far as a 16-bit index of a 16-byte descriptor reaches: what is read there faults wherever the mapping happens to lie. */
#define GUARD_BYTES 0x100000U

static void *guarded_mmap(void *address, size_t size, int protection, int flags, int fd, long offset)
{
	uint8_t *all = mmap(address, size + 2 * GUARD_BYTES, PROT_NONE, flags, fd, offset);

	if (all == MAP_FAILED || mprotect(all + GUARD_BYTES, size, protection) < 0)
		return MAP_FAILED;
	return all + GUARD_BYTES;
}

static int guarded_munmap(void *address, size_t size)
{
	ASAN_UNPOISON_MEMORY_REGION(address, size);
	return munmap((uint8_t *)address - GUARD_BYTES, size + 2 * GUARD_BYTES);
}

static void share(unsigned int page, bool shared)
{
	uint8_t *bytes = guest.vm.ram + page * PAGE_BYTES;

	guest.shared[page] = shared;
	if (shared)
		ASAN_UNPOISON_MEMORY_REGION(bytes, PAGE_BYTES);
	else
		ASAN_POISON_MEMORY_REGION(bytes, PAGE_BYTES);
}

/* As realm_shares() does. */
static bool shares(void *context, uint64_t address, uint64_t size)
{
	uint64_t base = RAM_BASE | IPA_UNPROTECTED, page;

	promise(context == &guest.vm && within(address, size, base, RAM_BYTES));
	for (page = (address - base) / PAGE_BYTES; page * PAGE_BYTES < address - base + size; page++)
		if (!guest.shared[page])
			return false;
	return true;
}

static uint64_t ram_base(void)
{
	return RAM_BASE | (guest.options.world == WORLD_REALM ? IPA_UNPROTECTED : 0);
}

/* The guest writes. What it does not share, the VMM has no copy of. */
static void store(uint32_t offset, const void *bytes, uint32_t size)
{
	const uint8_t *source = bytes;
	uint32_t i;

	for (i = 0; i < size && offset + i < RAM_BYTES; i++)
		if (guest.shared[(offset + i) / PAGE_BYTES])
			guest.vm.ram[offset + i] = source[i];
}

/* ---- The back end: a realm's, with the GIC in it ------------------------------------------------------------- */

static int nothing_range(void *context, uint64_t base, uint64_t top)
{
	(void)context;
	(void)base;
	(void)top;
	return 0;
}

static int nothing_data(void *context, uint64_t ipa, const void *bytes, uint64_t size)
{
	(void)bytes;
	return nothing_range(context, ipa, size);
}

static int nothing_rec(void *context, unsigned int index, bool runnable, uint64_t pc, uint64_t x0)
{
	(void)index;
	(void)runnable;
	return nothing_range(context, pc, x0);
}

static int nothing(void *context)
{
	(void)context;
	return 0;
}

static int create(struct vm *vm)
{
	vm->state = &guest;
	gic_init(&guest.gic, VCPUS, GIC_MAX_LRS);
	return 0;
}

static int take_irq(struct vm *vm, unsigned int spi, bool level)
{
	promise(vm == &guest.vm && spi < 32 && (guest.gic.shared.line >> spi & 1) != level);
	promise((gic_set_spi(&guest.gic, spi, level) & ~((1U << VCPUS) - 1)) == 0);
	return 0;
}

static void answer(struct vcpu *vcpu, uint64_t value)
{
	(void)vcpu;
	(void)value;
}

static int inject(struct vcpu *vcpu)
{
	(void)vcpu;
	return 0;
}

static void destroy(struct vm *vm)
{
	(void)vm;
}

#define STEPS { .init_ripas = nothing_range, .data = nothing_data, .rec = nothing_rec, .activate = nothing }
static const struct backend backend_vm = { .name = "vm", .create = create, .steps = STEPS, .answer = answer, .abort = inject,
					   .set_irq = take_irq, .destroy = destroy };
static const struct backend backend_realm = { .name = "realm", .create = create, .steps = STEPS, .answer = answer,
					      .abort = inject, .set_irq = take_irq, .shares = shares, .destroy = destroy };

/* A load or store of a guest, on its way as realm_vcpu.c sends it. */
static void guest_access(uint64_t address, unsigned int bytes, bool write, uint64_t value)
{
	struct vm_exit exit = { .kind = VM_EXIT_MMIO, .address = address, .bytes = bytes, .write = write, .value = value };
	uint32_t wake = 0;

	if (gic_access(&guest.gic, address, bytes, write, &value, &wake))
		promise((wake & ~((1U << VCPUS) - 1)) == 0);
	else
		promise(handle_exit(&guest.vm.vcpus[0], &exit) == 0);
}

/* ---- Operations: what comes along ---------------------------------------------------------------------------- */

static uint64_t register_of(unsigned int slot, uint32_t offset)
{
	return VIRTIO_BASE + slot * VIRTIO_BYTES + offset;
}

static void put(unsigned int slot, uint32_t offset, uint32_t value)
{
	guest_access(register_of(slot, offset), 4, true, value);
}

/* An address that a device is given: mostly one of a buffer, sometimes at an edge, or anything. */
static uint64_t pick_address(struct input *input)
{
	switch (input_below(input, 8)) {
	case 0:
		return input_number(input, 8);
	case 1:
		return ram_base() + RAM_BYTES - input_below(input, 64);
	case 2:
		return ram_base() + input_below(input, PAGES) * PAGE_BYTES - input_below(input, 16);
	case 3:
		return ram_base() + input_below(input, RAM_BYTES);
	default:
		return ram_base() + BUFFERS_AT + 16 * input_below(input, (RAM_BYTES - BUFFERS_AT) / 16);
	}
}

static uint64_t pick_buffer(struct input *input)
{
	return ram_base() + BUFFERS_AT + 16 * input_below(input, 0x800);
}

static uint32_t pick_size(struct input *input)
{
	switch (input_below(input, 8)) {
	case 0:
		return (uint32_t)input_number(input, 4);
	case 1:
		return 512 * input_below(input, 64);
	case 2:
		return 1 + input_below(input, 20);
	case 3:
		return 12;
	default:
		return input_below(input, 0x1000);
	}
}

static void do_access(struct input *input)
{
	static const uint64_t places[] = { UART_BASE, VIRTIO_BASE, GICD_BASE, GICR_BASE, GICR_BASE + GICR_BYTES,
					   GICR_BASE + VCPUS * GICR_BYTES, RAM_BASE, 0 };
	uint64_t place = places[input_below(input, 8)];
	uint32_t offset = input_below(input, 0x20000);
	unsigned int bytes = 1U << input_below(input, 4);
	bool write = input_below(input, 2) != 0;

	guest_access(place + offset, bytes, write, input_number(input, bytes));
}

static void do_uart(struct input *input)
{
	uint32_t offset = 4 * input_below(input, 20) + (input_below(input, 8) == 0 ? 0xfe0 : 0);

	guest_access(UART_BASE + offset, 4, input_below(input, 2) != 0, input_number(input, 2));
}

static void do_gic(struct input *input)
{
	static const uint32_t groups[] = { 0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380, 0x400, 0xc00, 0x6000 };
	uint64_t frame = input_below(input, 2) == 0 ? GICD_BASE : GICR_BASE + 0x10000 * input_below(input, 2 * VCPUS);
	uint32_t offset = input_below(input, 4) == 0 ? 4 * input_below(input, 0x100) :
						       groups[input_below(input, 10)] + 4 * input_below(input, 128);
	unsigned int bytes = 1U << input_below(input, 4);

	guest_access(frame + offset, bytes, input_below(input, 4) != 0, input_number(input, bytes));
}

static void do_sgi(struct input *input)
{
	unsigned int cpu = input_below(input, VCPUS);

	if (input_below(input, 2) == 0)
		(void)gic_send_sgi(&guest.gic, cpu, input_number(input, 8));
	else
		(void)gic_deactivate(&guest.gic, cpu, input_number(input, input_below(input, 2) == 0 ? 1 : 8));
}

/* A vCPU goes in, or comes out with its list registers as it has used them. */
static void do_entry(struct input *input)
{
	unsigned int cpu = input_below(input, VCPUS), i;

	if (!guest.inside[cpu]) {
		gic_fill(&guest.gic, cpu, guest.lrs[cpu], &guest.hcr[cpu]);
	} else {
		for (i = 0; i < 4; i++)
			guest.lrs[cpu][input_below(input, GIC_MAX_LRS)] ^= (uint64_t)input_below(input, 4) << 62;
		if (input_below(input, 32) == 0)
			guest.lrs[cpu][input_below(input, GIC_MAX_LRS)] = input_number(input, 8);
		(void)gic_fold(&guest.gic, cpu, guest.lrs[cpu], guest.hcr[cpu]);
	}
	guest.inside[cpu] = !guest.inside[cpu];
	(void)gic_waiting(&guest.gic, cpu);
}

static void do_time(struct input *input)
{
	unsigned int cpu = input_below(input, VCPUS);

	guest.now += input_number(input, input_below(input, 8) == 0 ? 8 : 3);
	if (input_below(input, 2) == 0)
		guest.timers[cpu] = (struct timer){ .ctl = input_below(input, 8), .cval = guest.now + input_number(input, 3) };
	(void)gic_set_ppi(&guest.gic, cpu, input_below(input, 2) == 0 ? INTID_CNTV : INTID_CNTP,
			  timer_asserted(&guest.timers[cpu], guest.now));
	promise(timer_delay(&guest.timers[cpu], guest.now, 62500000) <= TIMER_NEVER);
}

/* ---- Operations: virtio --------------------------------------------------------------------------------------- */

static unsigned int queue_of(unsigned int slot, unsigned int queue)
{
	return 2 * slot + queue;
}

/* As a driver does it. */
static void do_start(struct input *input)
{
	unsigned int slot = input_below(input, VIRTIO_SLOTS), queue;
	uint32_t high = (uint32_t)(ram_base() >> 32), features = (uint32_t)input_number(input, 4), low;
	uint32_t size = 1U << input_below(input, 9);

	/* One that takes what it was not offered gets nowhere. */
	if (input_below(input, 16) != 0)
		features &= (uint32_t)guest.vm.devices.virtio[slot].type->features;

	put(slot, 0x70, 0);
	put(slot, 0x70, 3);
	put(slot, 0x24, 0), put(slot, 0x20, features);
	put(slot, 0x24, 1), put(slot, 0x20, 3);
	put(slot, 0x70, 11);
	for (queue = 0; queue < 2; queue++) {
		low = (uint32_t)ram_base() + queue_of(slot, queue) * QUEUE_BYTES;
		guest.offered[queue_of(slot, queue)] = 0;
		store(queue_of(slot, queue) * QUEUE_BYTES + AVAILABLE_AT, &(uint32_t){ 0 }, 4);
		put(slot, 0x30, queue), put(slot, 0x38, size);
		put(slot, 0x80, low), put(slot, 0x84, high);
		put(slot, 0x90, low + AVAILABLE_AT), put(slot, 0x94, high);
		put(slot, 0xa0, low + USED_AT), put(slot, 0xa4, high);
		put(slot, 0x44, 1);
	}
	put(slot, 0x70, 15);
}

static void do_register(struct input *input)
{
	unsigned int slot = input_below(input, VIRTIO_SLOTS);
	uint32_t offset = input_below(input, 0x200);
	unsigned int bytes = 1U << input_below(input, 4);

	if (input_below(input, 2) != 0)
		offset &= ~3U, bytes = 4;
	guest_access(register_of(slot, offset), bytes, input_below(input, 3) != 0,
	       input_number(input, input_below(input, 2) == 0 ? 1 : 4));
}

static void describe(unsigned int queue, uint32_t index, uint64_t address, uint32_t size, uint32_t flags, uint32_t next)
{
	const uint64_t words[2] = { address, size | (uint64_t)flags << 32 | (uint64_t)next << 48 };

	store(queue * QUEUE_BYTES + 16 * index, words, sizeof(words));
}

static void do_descriptor(struct input *input)
{
	unsigned int queue = input_below(input, QUEUES);
	uint32_t index = input_below(input, 256), flags = input_below(input, 16) == 0 ? (uint32_t)input_number(input, 2) :
											  input_below(input, 4);
	uint32_t next = input_below(input, 16) == 0 ? (uint32_t)input_number(input, 2) : input_below(input, 64);

	describe(queue, index, pick_address(input), pick_size(input), flags, next);
}

/* Offer a head and, mostly, say so. */
static void offer(struct input *input, unsigned int queue, uint16_t head)
{
	unsigned int slot = queue / 2;
	uint32_t size = guest.vm.devices.virtio[slot].queues[queue % 2].size, ring = queue * QUEUE_BYTES + AVAILABLE_AT;
	uint16_t *offered = &guest.offered[queue];

	store(ring + 4 + 2 * (*offered % (size == 0 || size > 256 ? 256 : size)), &head, 2);
	(*offered)++;
	if (input_below(input, 32) == 0)
		*offered = (uint16_t)input_number(input, 2);
	store(ring + 2, offered, 2);
	if (input_below(input, 4) != 0)
		put(slot, VIRTIO_QUEUE_NOTIFY, queue % 2);
}

static void do_offer(struct input *input)
{
	unsigned int queue = input_below(input, QUEUES);
	uint16_t head = (uint16_t)(input_below(input, 32) == 0 ? input_number(input, 2) : input_below(input, 64));

	offer(input, queue, head);
}

/* A chain of some buffers that makes sense, and its head. */
static void do_chain(struct input *input)
{
	unsigned int queue = input_below(input, QUEUES), readable = input_below(input, 5), writable = input_below(input, 5), i;
	uint32_t first = input_below(input, 48);

	for (i = 0; i < readable + writable; i++)
		describe(queue, first + i, input_below(input, 8) == 0 ? pick_address(input) : pick_buffer(input), pick_size(input),
			 (i + 1 < readable + writable ? 1U : 0) | (i >= readable ? 2U : 0), first + i + 1);
	if (input_below(input, 16) == 0)
		describe(queue, first, pick_buffer(input), pick_size(input), 1, (uint32_t)input_number(input, 2));
	offer(input, queue, (uint16_t)first);
}

/* A buffer to receive into, as a driver gives it. */
static void do_receive(struct input *input)
{
	unsigned int queue = queue_of(input_below(input, 2) == 0 ? VIRTIO_SLOT_NET : VIRTIO_SLOT_CONSOLE, 0);
	uint32_t first = input_below(input, 64);

	describe(queue, first, input_below(input, 8) == 0 ? pick_address(input) : pick_buffer(input), pick_size(input), 2, 0);
	offer(input, queue, (uint16_t)first);
}

/* A request for the disk as a driver makes it, with any sector. */
static void do_disk(struct input *input)
{
	static const uint32_t types[] = { 0, 1, 4, 8 };
	unsigned int queue = queue_of(VIRTIO_SLOT_BLK, 0), count = input_below(input, 4), i;
	uint32_t type = types[input_below(input, 4)], first = input_below(input, 48), at = BUFFERS_AT + 16 * input_below(input, 64);
	uint64_t header[2] = { type, input_below(input, 4) == 0 ? input_number(input, 8) : input_below(input, 70) };

	store(at, header, sizeof(header));
	describe(queue, first, ram_base() + at, sizeof(header), 1, first + 1);
	for (i = 1; i <= count; i++)
		describe(queue, first + i, ram_base() + BUFFERS_AT + 512 * input_below(input, 64),
			 type == 8 ? 20 : 512 * input_below(input, 8), type == 1 ? 1 : 3, first + i + 1);
	describe(queue, first + i, ram_base() + BUFFERS_AT + 16 * input_below(input, 0x800), 1, 2, 0);
	offer(input, queue, (uint16_t)first);
}

/* ---- Operations: the rest -------------------------------------------------------------------------------------- */

static void do_store(struct input *input)
{
	uint8_t bytes[32];
	uint32_t size = 1 + input_below(input, sizeof(bytes));

	input_bytes(input, bytes, size);
	store(input_below(input, RAM_BYTES), bytes, size);
}

/* Pages change hands at any time, as realm_change_ripas() has it. Mostly the guest shares again, or no device would work. */
static void do_share(struct input *input)
{
	uint32_t page = input_below(input, PAGES), base = page * (uint32_t)PAGE_BYTES;

	if (guest.options.world != WORLD_REALM)
		return;
	if (input_below(input, 4) != 0) {
		share(page, true);
		return;
	}
	devices_withdraw(&guest.vm.devices, RAM_BASE + base, RAM_BASE + base + PAGE_BYTES);
	share(page, false);
	devices_resume(&guest.vm.devices);
}

static void do_frame(struct input *input)
{
	effects_frames(input);
	if (net_poll(&guest.vm.devices.net) >= 0)
		net_serve(&guest.vm.devices.net);
	effects_frames(NULL);
}

static void do_type(struct input *input)
{
	uint8_t bytes[KEYBOARD_BYTES];
	size_t room = devices_input_room(&guest.vm.devices), count = input_below(input, KEYBOARD_BYTES);

	promise(room <= KEYBOARD_BYTES);
	memset(bytes, 'x', sizeof(bytes));
	if (room != 0)
		devices_input(&guest.vm.devices, bytes, count < room ? count : room);
}

static void do_work(struct input *input)
{
	effects_medium(input_below(input, 16) == 0);
	effects_work(&guest.vm.devices.blk);
}

static void do_reset(struct input *input)
{
	put(input_below(input, VIRTIO_SLOTS), 0x70, 0);
}

static void (*const operations[])(struct input *input) = {
	do_access, do_uart, do_gic, do_sgi, do_entry, do_time, do_start, do_register, do_descriptor, do_offer, do_chain,
	do_chain, do_receive, do_receive, do_disk, do_disk, do_store, do_share, do_frame, do_frame, do_type, do_work, do_work, do_reset,
};

/* What is always so. */
static void check(void)
{
	unsigned int slot, queue;

	for (slot = 0; slot < VIRTIO_SLOTS; slot++) {
		const struct virtio *device = &guest.vm.devices.virtio[slot];

		promise(device->level == (device->interrupts != 0));
		promise((guest.gic.shared.line >> (VIRTIO_FIRST_SPI + slot) & 1) == device->level);
		for (queue = 0; queue < VIRTIO_QUEUES; queue++)
			promise(!device->queues[queue].ready ||
				device->queues[queue].in_flight <= device->queues[queue].size);
	}
	promise(guest.vm.outcome == OUTCOME_NONE);
}

static void set_up(struct input *input)
{
	uint32_t kind = input_below(input, 4);
	struct vm_parts parts = { .options = &guest.options, .content = &guest.content, .event_fd = -1 };
	unsigned int page;

	memset(&guest, 0, sizeof(guest));
	guest.options = (struct options){ .world = kind % 2 == 0 ? WORLD_REALM : WORLD_VM, .vcpus = VCPUS, .cpu = -1,
					  .mac = { 2, 0, 0, 0, 0, 1 }, .seeded = true, .tap = "tap", .disk = "disk",
					  .disk_writable = kind / 2 == 0 };
	guest.content.layout = (struct layout){ .ram_bytes = RAM_BYTES, .vcpus = VCPUS };
	guest.content.population.layout = &guest.content.layout;
	parts.backend = guest.options.world == WORLD_REALM ? &backend_realm : &backend_vm;
	promise(vm_create(&guest.vm, &parts) == 0);
	for (page = 0; page < PAGES; page++)
		share(page, guest.options.world == WORLD_VM || page < PAGES - PRIVATE);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { .bytes = bytes, .left = size };
	unsigned int i;

	set_up(&input);
	for (i = 0; i < OPERATIONS && input_left(&input) > 0; i++) {
		operations[input_below(&input, sizeof(operations) / sizeof(operations[0]))](&input);
		check();
	}
	effects_medium(false);
	vm_destroy(&guest.vm);
	return 0;
}

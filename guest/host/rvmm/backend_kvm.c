/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "backend_kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/psci.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "kvm_id.h"
#include "kvm_touch.h"
#include "vm.h"

/* Newer than the headers of the oldest build computer (Linux 5.18 to 6.4). */
#ifndef KVM_REG_ARM_STD_BMAP
#define KVM_REG_ARM_FW_FEAT_BMAP      (UINT64_C(0x16) << KVM_REG_ARM_COPROC_SHIFT)
#define FW_BITMAP(number)             (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_FW_FEAT_BMAP | (number))
#define KVM_REG_ARM_STD_BMAP          FW_BITMAP(0)
#define KVM_REG_ARM_STD_HYP_BMAP      FW_BITMAP(1)
#define KVM_REG_ARM_VENDOR_HYP_BMAP   FW_BITMAP(2)
#endif
#ifndef KVM_ARM_VM_SMCCC_CTRL
#define KVM_ARM_VM_SMCCC_CTRL        0
#define KVM_ARM_VM_SMCCC_FILTER      0
#define KVM_SMCCC_FILTER_DENY        1
struct kvm_smccc_filter {
	__u32 base;
	__u32 nr_functions;
	__u8 action;
	__u8 pad[15];
};
#endif
#ifndef KVM_CAP_COUNTER_OFFSET
#define KVM_CAP_COUNTER_OFFSET 227
struct kvm_arm_counter_offset {
	__u64 counter_offset;
	__u64 reserved;
};
#define KVM_ARM_SET_COUNTER_OFFSET _IOW(KVMIO, 0xb5, struct kvm_arm_counter_offset)
#endif

#define CORE_REG(field) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(field))

struct kvm_vcpu_state {
	int fd;
	struct kvm_run *run;
};

struct kvm_state {
	int device, vm, gic;
	size_t run_bytes;
	struct kvm_vcpu_state vcpus[MAX_VCPUS];
	struct kvm_id ids[KVM_ID_COUNT];
};

/* ---- The machine ------------------------------------------------------------------------------------------- */

/* A realm's counter is the machine's. */
static int zero_counter_offset(int vm_fd)
{
	struct kvm_arm_counter_offset offset = { .counter_offset = 0 };

	if (ioctl(vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_COUNTER_OFFSET) <= 0)
		return fail("KVM: this kernel cannot set the counter's offset (Linux 6.4 can)");
	return ioctl(vm_fd, KVM_ARM_SET_COUNTER_OFFSET, &offset) < 0 ? fail_errno("KVM: counter offset") : 0;
}

/* PSCI functions that a realm does not have. */
static int deny_calls(int vm_fd)
{
	struct kvm_smccc_filter filter = { .base = 0x84000006 /* MIGRATE_INFO_TYPE */, .nr_functions = 1,
					   .action = KVM_SMCCC_FILTER_DENY };
	struct kvm_device_attr attr = { .group = KVM_ARM_VM_SMCCC_CTRL, .attr = KVM_ARM_VM_SMCCC_FILTER,
					.addr = (uint64_t)(uintptr_t)&filter };

	return ioctl(vm_fd, KVM_SET_DEVICE_ATTR, &attr) < 0 ? fail_errno("KVM: filter of calls") : 0;
}

static int open_machine(struct kvm_state *kvm)
{
	int bytes;

	kvm->device = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm->device < 0)
		return fail_errno("/dev/kvm");
	if (ioctl(kvm->device, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE) < IPA_BITS)
		return fail("KVM: no %d-bit guest addresses", IPA_BITS);
	bytes = ioctl(kvm->device, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (bytes < (int)sizeof(struct kvm_run))
		return fail("KVM: no run page");
	kvm->run_bytes = (size_t)bytes;
	kvm->vm = ioctl(kvm->device, KVM_CREATE_VM, KVM_VM_TYPE_ARM_IPA_SIZE(IPA_BITS));
	if (kvm->vm < 0)
		return fail_errno("KVM: new VM");
	return zero_counter_offset(kvm->vm) < 0 ? -1 : deny_calls(kvm->vm);
}

static int set_memory(struct vm *vm, const struct kvm_state *kvm)
{
	/* Loads and stores that KVM cannot decode come to us, as a realm's do, instead of ending the guest. */
	struct kvm_enable_cap undecoded = { .cap = KVM_CAP_ARM_NISV_TO_USER };
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = RAM_BASE,
		.memory_size = vm->content->layout.ram_bytes,
		.userspace_addr = (uint64_t)(uintptr_t)vm->ram,
	};

	if (ioctl(kvm->vm, KVM_ENABLE_CAP, &undecoded) < 0)
		return fail_errno("KVM: undecoded aborts");
	return ioctl(kvm->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? fail_errno("KVM: memory") : 0;
}

static int gic_attribute(const struct kvm_state *kvm, uint32_t group, uint64_t attribute, const void *value)
{
	struct kvm_device_attr attr = { .group = group, .attr = attribute, .addr = (uint64_t)(uintptr_t)value };

	return ioctl(kvm->gic, KVM_SET_DEVICE_ATTR, &attr) < 0 ? fail_errno("KVM: GIC") : 0;
}

static int create_gic(struct kvm_state *kvm, unsigned int vcpus)
{
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	uint64_t distributor = GICD_BASE, redistributors = (uint64_t)vcpus << 52 | GICR_BASE;
	uint32_t interrupts = 64;

	if (ioctl(kvm->vm, KVM_CREATE_DEVICE, &device) < 0)
		return fail_errno("KVM: GIC");
	kvm->gic = (int)device.fd;
	if (gic_attribute(kvm, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &distributor) < 0 ||
	    gic_attribute(kvm, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, &redistributors) < 0)
		return -1;
	return gic_attribute(kvm, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &interrupts);
}

static int kvm_create(struct vm *vm)
{
	struct kvm_state *kvm = calloc(1, sizeof(*kvm));
	unsigned int i;

	if (kvm == NULL)
		return fail("no memory");
	vm->state = kvm;
	kvm->device = kvm->vm = kvm->gic = -1;
	for (i = 0; i < MAX_VCPUS; i++)
		kvm->vcpus[i].fd = -1;
	if (open_machine(kvm) < 0 || set_memory(vm, kvm) < 0)
		return -1;
	return create_gic(kvm, vm->options->vcpus);
}

/* ---- Content ----------------------------------------------------------------------------------------------- */

static int no_ripas(void *context, uint64_t base, uint64_t top)
{
	(void)context;
	(void)base;
	(void)top;
	return 0;
}

static int copy_data(void *context, uint64_t ipa, const void *bytes, uint64_t size)
{
	struct vm *vm = context;

	if (!within(ipa, size, RAM_BASE, vm->content->layout.ram_bytes))
		return fail("content outside of the guest's memory");
	memcpy(vm->ram + (ipa - RAM_BASE), bytes, size);
	return 0;
}

static int init_vcpu(const struct kvm_state *kvm, const struct kvm_vcpu_state *vcpu, bool runnable)
{
	struct kvm_vcpu_init init;

	if (ioctl(kvm->vm, KVM_ARM_PREFERRED_TARGET, &init) < 0)
		return fail_errno("KVM: target");
	init.features[0] |= 1U << KVM_ARM_VCPU_PSCI_0_2;
	/* Pointer authentication, as realms have it. Both or none: KVM does not divide them. */
	if (ioctl(kvm->vm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_PTRAUTH_ADDRESS) > 0)
		init.features[0] |= 1U << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1U << KVM_ARM_VCPU_PTRAUTH_GENERIC;
	if (!runnable)
		init.features[0] |= 1U << KVM_ARM_VCPU_POWER_OFF;
	return ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init) < 0 ? fail_errno("KVM: vCPU set-up") : 0;
}

static int set_register(int fd, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uint64_t)(uintptr_t)&value };

	return ioctl(fd, KVM_SET_ONE_REG, &reg) < 0 ? fail_errno("KVM: register") : 0;
}

/* A realm's RMM says PSCI 1.1 and has no other firmware services: no paravirtual time, random numbers or clock. */
static int set_firmware(int fd)
{
	static const uint64_t services[] = { KVM_REG_ARM_STD_BMAP, KVM_REG_ARM_STD_HYP_BMAP, KVM_REG_ARM_VENDOR_HYP_BMAP };
	unsigned int i;

	for (i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (set_register(fd, services[i], 0) < 0)
			return -1;
	return set_register(fd, KVM_REG_ARM_PSCI_VERSION, PSCI_VERSION(1, 1));
}

static int create_vcpu(void *context, unsigned int index, bool runnable, uint64_t pc, uint64_t x0)
{
	struct vm *vm = context;
	struct kvm_state *kvm = vm->state;
	struct kvm_vcpu_state *vcpu = &kvm->vcpus[index];
	void *run;

	vcpu->fd = ioctl(kvm->vm, KVM_CREATE_VCPU, index);
	if (vcpu->fd < 0)
		return fail_errno("KVM: vCPU %u", index);
	run = mmap(NULL, kvm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED)
		return fail_errno("KVM: run page");
	vcpu->run = run;
	if (init_vcpu(kvm, vcpu, runnable) < 0 || set_firmware(vcpu->fd) < 0 || kvm_id_apply(vcpu->fd, kvm->ids) < 0)
		return -1;
	if (!runnable)
		return 0;
	return set_register(vcpu->fd, CORE_REG(regs.pc), pc) < 0 ? -1 : set_register(vcpu->fd, CORE_REG(regs.regs[0]), x0);
}

#define GICD_IIDR         8U
#define IIDR_REVISION     (UINT32_C(15) << 12)
#define IIDR_WITHOUT_LPIS (UINT32_C(2) << 12)

/* KVM's model has revisions; from 3 on a redistributor says that it has more of LPIs than ours. */
static int set_gic_revision(const struct kvm_state *kvm)
{
	uint32_t iidr = 0;
	struct kvm_device_attr attr = { .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS, .attr = GICD_IIDR,
					.addr = (uint64_t)(uintptr_t)&iidr };

	if (ioctl(kvm->gic, KVM_GET_DEVICE_ATTR, &attr) < 0)
		return fail_errno("KVM: GIC revision");
	iidr = (iidr & ~IIDR_REVISION) | IIDR_WITHOUT_LPIS;
	return gic_attribute(kvm, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, GICD_IIDR, &iidr);
}

static int start_gic(void *context)
{
	struct vm *vm = context;

	if (gic_attribute(vm->state, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL) < 0)
		return -1;
	return set_gic_revision(vm->state);
}

static int kvm_pretouch(struct vm *vm)
{
	/* Linux 5.14; the constant is newer than some C libraries. */
	const int populate_write = 23;
	const struct kvm_state *kvm = vm->state;

	if (madvise(vm->ram, vm->content->layout.ram_bytes, populate_write) < 0)
		return fail_errno("memory of the guest");
	return kvm_touch(vm, kvm->vcpus[0].fd, kvm->vcpus[0].run);
}

/* ---- Running ----------------------------------------------------------------------------------------------- */

static int take_mmio(struct kvm_run *run, struct vm_exit *exit)
{
	unsigned int bytes = run->mmio.len;

	if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8)
		return fail("KVM: an access of %u bytes", bytes);
	*exit = (struct vm_exit){ .kind = VM_EXIT_MMIO, .address = run->mmio.phys_addr, .bytes = bytes,
				  .write = run->mmio.is_write != 0 };
	if (exit->write)
		memcpy(&exit->value, run->mmio.data, bytes);
	return 0;
}

static int take_system_event(struct vm *vm, const struct kvm_run *run, struct vm_exit *exit)
{
	stat_add(&vm->stats, STAT_PSCI);
	if (run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN)
		exit->kind = VM_EXIT_OFF;
	else if (run->system_event.type == KVM_SYSTEM_EVENT_RESET)
		exit->kind = VM_EXIT_RESET;
	else
		return fail("KVM: system event %u", run->system_event.type);
	return 0;
}

static int kvm_abort(struct vcpu *vcpu)
{
	struct kvm_state *kvm = vcpu->vm->state;
	struct kvm_vcpu_events events;

	if (ioctl(kvm->vcpus[vcpu->index].fd, KVM_GET_VCPU_EVENTS, &events) < 0)
		return fail_errno("KVM: events");
	events.exception.ext_dabt_pending = 1;
	return ioctl(kvm->vcpus[vcpu->index].fd, KVM_SET_VCPU_EVENTS, &events) < 0 ? fail_errno("KVM: events") : 0;
}

static int take_exit(struct vcpu *vcpu, struct kvm_run *run, struct vm_exit *exit)
{
	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		return take_mmio(run, exit);
	case KVM_EXIT_SYSTEM_EVENT:
		return take_system_event(vcpu->vm, run, exit);
	case KVM_EXIT_ARM_NISV:
		stat_add(&vcpu->vm->stats, STAT_ABORT);
		return kvm_abort(vcpu);
	case KVM_EXIT_INTR:
		return 0;
	case KVM_EXIT_FAIL_ENTRY:
		return fail("KVM: entry failed, %#llx", (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
	default:
		return fail("KVM: exit %u", run->exit_reason);
	}
}

static int kvm_run_vcpu(struct vcpu *vcpu, struct vm_exit *exit)
{
	struct kvm_state *kvm = vcpu->vm->state;
	struct kvm_vcpu_state *state = &kvm->vcpus[vcpu->index];

	exit->kind = VM_EXIT_AGAIN;
	stat_add(&vcpu->vm->stats, STAT_ENTRIES);
	if (ioctl(state->fd, KVM_RUN, 0) < 0) {
		if (errno != EINTR && errno != EAGAIN)
			return fail_errno("KVM: run");
		/* Cleared before the caller looks why: a kick that comes later is not lost. */
		__atomic_store_n(&state->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		stat_add(&vcpu->vm->stats, STAT_INTERRUPTED);
		return 0;
	}
	return take_exit(vcpu, state->run, exit);
}

static void kvm_answer(struct vcpu *vcpu, uint64_t value)
{
	struct kvm_state *kvm = vcpu->vm->state;
	struct kvm_run *run = kvm->vcpus[vcpu->index].run;

	/* The next KVM_RUN finishes the instruction. */
	if (run->mmio.is_write == 0)
		memcpy(run->mmio.data, &value, sizeof(value));
}

static int kvm_set_irq(struct vm *vm, unsigned int spi, bool level)
{
	struct kvm_state *kvm = vm->state;
	struct kvm_irq_level line = { .irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | INTID_SPI(spi),
				      .level = level };

	return ioctl(kvm->vm, KVM_IRQ_LINE, &line) < 0 ? fail_errno("KVM: interrupt") : 0;
}

static void kvm_kick(struct vcpu *vcpu)
{
	struct kvm_state *kvm = vcpu->vm->state;

	__atomic_store_n(&kvm->vcpus[vcpu->index].run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	(void)pthread_kill(vcpu->thread, KICK_SIGNAL);
}

/* ---- The end ----------------------------------------------------------------------------------------------- */

/* ID registers where twins differ: what KVM refused to set. */
static void kvm_report(struct vm *vm, FILE *out)
{
	const struct kvm_state *kvm = vm->state;
	const char *comma = "";
	unsigned int i;

	(void)fprintf(out, ",\n  \"id_registers_refused\": [");
	for (i = 0; i < KVM_ID_COUNT; i++) {
		const struct kvm_id *id = &kvm->ids[i];

		if (id->now == id->wanted)
			continue;
		(void)fprintf(out, "%s\n    {\"crm\": %u, \"op2\": %u, \"now\": \"%#llx\", \"wanted\": \"%#llx\"}", comma,
			      KVM_ID_CRM_FIRST + i / 8, i % 8, (unsigned long long)id->now, (unsigned long long)id->wanted);
		comma = ",";
	}
	(void)fprintf(out, "]");
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

static void kvm_destroy(struct vm *vm)
{
	struct kvm_state *kvm = vm->state;
	unsigned int i;

	if (kvm == NULL)
		return;
	for (i = 0; i < MAX_VCPUS; i++) {
		if (kvm->vcpus[i].run != NULL)
			(void)munmap(kvm->vcpus[i].run, kvm->run_bytes);
		close_if_open(kvm->vcpus[i].fd);
	}
	close_if_open(kvm->gic);
	close_if_open(kvm->vm);
	close_if_open(kvm->device);
	free(kvm);
	vm->state = NULL;
}

static const unsigned long requests[] = { KVM_RUN, KVM_IRQ_LINE, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, 0 };

const struct backend backend_kvm = {
	.name = "vm",
	.create = kvm_create,
	.steps = { .init_ripas = no_ripas, .data = copy_data, .rec = create_vcpu, .activate = start_gic },
	.pretouch = kvm_pretouch,
	.run = kvm_run_vcpu,
	.answer = kvm_answer,
	.abort = kvm_abort,
	.set_irq = kvm_set_irq,
	.kick = kvm_kick,
	.report = kvm_report,
	.destroy = kvm_destroy,
	.requests = requests,
};

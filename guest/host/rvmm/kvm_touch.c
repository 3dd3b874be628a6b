/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM on arm64 maps a page at stage 2 only when the guest touches it (it has no KVM_PRE_FAULT_MEMORY up to Linux 7.3), whatever
 * the VMM has in its own tables. Left at that, "pre-touched" would mean less for a normal VM than for a realm, whose first use
 * of its memory would look cheaper. So a few instructions of ours run in the guest before its own do.
 */
#include "kvm_touch.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "error.h"
#include "layout.h"

#define CORE_REG(field) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(field))

/* How far between two looks for signals, which wait meanwhile. */
#define STEP_BYTES (4 * MIB)

/* No device and no memory is there: a store leaves KVM_RUN. */
#define DONE_ADDRESS UINT64_C(0)

/* x0: first page, x1: end, x3: DONE_ADDRESS. Stage 1 is off, so addresses are the guest's physical ones. */
static const uint32_t touch[] = {
	0xf9400002, /* 0: ldr  x2, [x0]            */
	0x91400400, /*    add  x0, x0, #1, lsl #12 */
	0xeb01001f, /*    cmp  x0, x1              */
	0x54ffffa3, /*    b.lo 0b                  */
	0xf900007f, /*    str  xzr, [x3]           */
};

enum { PC, PSTATE, X0, X1, X2, X3, NUM_REGISTERS };

static const uint64_t registers[NUM_REGISTERS] = {
	[PC] = CORE_REG(regs.pc),       [PSTATE] = CORE_REG(regs.pstate), [X0] = CORE_REG(regs.regs[0]),
	[X1] = CORE_REG(regs.regs[1]), [X2] = CORE_REG(regs.regs[2]),    [X3] = CORE_REG(regs.regs[3]),
};

static int all_registers(int fd, unsigned long request, uint64_t values[NUM_REGISTERS])
{
	unsigned int i;

	for (i = 0; i < NUM_REGISTERS; i++) {
		struct kvm_one_reg reg = { .id = registers[i], .addr = (uint64_t)(uintptr_t)&values[i] };

		if (ioctl(fd, request, &reg) < 0)
			return fail_errno("KVM: pre-touch: register");
	}
	return 0;
}

static bool is_done(const struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_MMIO && run->mmio.is_write != 0 && run->mmio.phys_addr == DONE_ADDRESS;
}

/* Run until the store, and let KVM finish that: the vCPU is between two instructions then. */
static int run_to_store(int fd, struct kvm_run *run)
{
	int result;

	while ((result = ioctl(fd, KVM_RUN, 0)) < 0)
		if (errno != EINTR && errno != EAGAIN)
			return fail_errno("KVM: pre-touch");
	if (!is_done(run))
		return fail("KVM: pre-touch: exit %u", run->exit_reason);
	run->immediate_exit = 1;
	result = ioctl(fd, KVM_RUN, 0);
	run->immediate_exit = 0;
	return result == 0 || errno != EINTR ? fail("KVM: pre-touch: the last store is not finished") : 0;
}

static int touch_all(const struct vm *vm, int fd, struct kvm_run *run, uint64_t code, uint64_t pstate)
{
	uint64_t base = RAM_BASE, end = RAM_BASE + vm->content->layout.ram_bytes, top;

	for (; base < end; base = top) {
		uint64_t values[NUM_REGISTERS] = { [PC] = code, [PSTATE] = pstate, [X0] = base, [X3] = DONE_ADDRESS };

		top = end - base < STEP_BYTES ? end : base + STEP_BYTES;
		values[X1] = top;
		if (vm_interrupted())
			return fail("stopped");
		if (all_registers(fd, KVM_SET_ONE_REG, values) < 0 || run_to_store(fd, run) < 0)
			return -1;
	}
	return 0;
}

static void put(void *to, const void *bytes, size_t size)
{
	memcpy(to, bytes, size);
	__builtin___clear_cache(to, (char *)to + size);
}

int kvm_touch(struct vm *vm, int vcpu_fd, struct kvm_run *run)
{
	/* The last page: what may be there is an initrd, no code of a kernel. */
	uint64_t offset = vm->content->layout.ram_bytes - PAGE_BYTES;
	uint8_t there[sizeof(touch)];
	uint64_t values[NUM_REGISTERS];
	int result;

	if (all_registers(vcpu_fd, KVM_GET_ONE_REG, values) < 0)
		return -1;
	memcpy(there, vm->ram + offset, sizeof(there));
	put(vm->ram + offset, touch, sizeof(touch));
	result = touch_all(vm, vcpu_fd, run, RAM_BASE + offset, values[PSTATE]);
	put(vm->ram + offset, there, sizeof(there));
	return result < 0 ? -1 : all_registers(vcpu_fd, KVM_SET_ONE_REG, values);
}

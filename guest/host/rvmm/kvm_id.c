/* SPDX-License-Identifier: Apache-2.0 */
#include "kvm_id.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "error.h"
#include "realm_id.h"

static int access_register(int vcpu_fd, unsigned long request, unsigned int crm, unsigned int op2, uint64_t *value)
{
	struct kvm_one_reg reg = { .id = ARM64_SYS_REG(3, 0, 0, crm, op2), .addr = (uint64_t)(uintptr_t)value };

	return ioctl(vcpu_fd, request, &reg);
}

/* KVM takes or refuses a value as a whole, for one field in it: give it what it takes. */
static void apply_fields(int vcpu_fd, unsigned int crm, unsigned int op2, struct kvm_id *id)
{
	unsigned int shift;

	for (shift = 0; shift < 64; shift += 4) {
		uint64_t field = UINT64_C(15) << shift, next = (id->now & ~field) | (id->wanted & field);

		if (next != id->now && access_register(vcpu_fd, KVM_SET_ONE_REG, crm, op2, &next) == 0)
			id->now = next;
	}
}

static int apply(int vcpu_fd, unsigned int crm, unsigned int op2, struct kvm_id *id)
{
	if (access_register(vcpu_fd, KVM_GET_ONE_REG, crm, op2, &id->found) < 0)
		return fail_errno("KVM: ID register CRm %u op2 %u", crm, op2);
	/* A realm has as many break- and watchpoints as the CPU, and so has a KVM guest: ID_AA64DFR0_EL1 says how many. */
	id->wanted = realm_id_value(crm, op2, id->found, (unsigned int)(id->found >> 12 & 15),
				    (unsigned int)(id->found >> 20 & 15));
	id->now = id->found;
	if (id->wanted == id->found)
		return 0;
	if (access_register(vcpu_fd, KVM_SET_ONE_REG, crm, op2, &id->wanted) == 0)
		id->now = id->wanted;
	else
		apply_fields(vcpu_fd, crm, op2, id);
	return 0;
}

int kvm_id_apply(int vcpu_fd, struct kvm_id ids[KVM_ID_COUNT])
{
	unsigned int i;

	for (i = 0; i < KVM_ID_COUNT; i++)
		if (apply(vcpu_fd, KVM_ID_CRM_FIRST + i / 8, i % 8, &ids[i]) < 0)
			return -1;
	return 0;
}

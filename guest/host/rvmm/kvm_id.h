/* SPDX-License-Identifier: Apache-2.0 */
/* ID registers of a normal VM: what a realm on this machine would see (guest/abi/realm_id.h). */
#ifndef RVMM_KVM_ID_H
#define RVMM_KVM_ID_H

#include <stdint.h>

#define KVM_ID_CRM_FIRST 1U
#define KVM_ID_COUNT     56U /* CRm 1..7, op2 0..7 */

struct kvm_id {
	uint64_t found;   /* KVM's own choice */
	uint64_t wanted;
	uint64_t now;
};

/* Set them on a vCPU; `ids` gets what came of it, index (CRm - 1) * 8 + op2. A field that KVM refuses stays as it was
 * found: the tests compare the worlds. -1: a register cannot even be read. */
int kvm_id_apply(int vcpu_fd, struct kvm_id ids[KVM_ID_COUNT]);

#endif

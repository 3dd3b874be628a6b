/* SPDX-License-Identifier: Apache-2.0 */
/* Pre-touch of a normal VM: all of its memory is in the stage-2 tables before it runs, as a pre-touched realm's is. */
#ifndef RVMM_KVM_TOUCH_H
#define RVMM_KVM_TOUCH_H

#include <linux/kvm.h>

#include "vm.h"

/* Let the first vCPU, which has not run yet, read each page of the guest's RAM; it is as it was before, but for pages that
 * are mapped now. The memory itself must be there already, and the GIC be ready. -1: an error, which has been reported. */
int kvm_touch(struct vm *vm, int vcpu_fd, struct kvm_run *run);

#endif

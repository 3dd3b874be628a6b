/* SPDX-License-Identifier: Apache-2.0 */
/* A normal VM: KVM with its GIC, timers and PSCI in the kernel, made to look like a realm's. */
#ifndef RVMM_BACKEND_KVM_H
#define RVMM_BACKEND_KVM_H

#include "backend.h"

extern const struct backend backend_kvm;

#endif

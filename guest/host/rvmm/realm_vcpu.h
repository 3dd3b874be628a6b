/* SPDX-License-Identifier: Apache-2.0 */
/* One vCPU of a realm: the run, answer, abort, set_irq and kick of the back end. */
#ifndef RVMM_REALM_VCPU_H
#define RVMM_REALM_VCPU_H

#include "backend.h"

int realm_vcpu_run(struct vcpu *vcpu, struct vm_exit *exit);
void realm_vcpu_answer(struct vcpu *vcpu, uint64_t value);
int realm_vcpu_abort(struct vcpu *vcpu);
int realm_set_irq(struct vm *vm, unsigned int spi, bool level);
void realm_vcpu_kick(struct vcpu *vcpu);

#endif

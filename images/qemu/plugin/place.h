/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers, and where the current vCPU is. */
#ifndef PLACE_H
#define PLACE_H

#include "counter.h"

/* Registers the plugin reads; QEMU's handles are the same for all vCPUs of a model. */
enum reg { REG_CPSR, REG_X0, REG_SCR_EL3, REG_HCR_EL2, REG_GPCCR_EL3, REGS };

/* Once per vCPU, one vCPU after the other: look up the registers, and check that all have the same. */
void place_find_registers(void);
/* Value of a register of the current vCPU; a register the CPU does not have reads 0. */
uint64_t place_read(enum reg reg, GByteArray *buffer);
struct place place_now(GByteArray *buffer);
bool place_is_a64(GByteArray *buffer);

#endif

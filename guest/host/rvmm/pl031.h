/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PL031 real-time clock (DDI 0224): the date, whole seconds since 1970, as the host has it. Its alarm never comes, and it has
 * no line. Pure logic, not thread-safe: callers hold the device lock.
 */
#ifndef RVMM_PL031_H
#define RVMM_PL031_H

#include <stdint.h>

struct pl031 {
	uint32_t ahead;        /* of the host's clock, modulo 2^32: what the guest has set */
	uint32_t match, mask;  /* kept for the guest, without effect */
};

/* Registers; `offset` < 4096, `now`: the host's seconds. Others than those of the manual read as zero and ignore writes. */
uint32_t pl031_read(const struct pl031 *rtc, uint32_t offset, uint32_t now);
void pl031_write(struct pl031 *rtc, uint32_t offset, uint32_t value, uint32_t now);

#endif

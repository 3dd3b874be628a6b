/* SPDX-License-Identifier: Apache-2.0 */
/* Entering RECs, with a watchdog: no realm keeps the CPU for good. */
#ifndef RUN_H
#define RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "build.h"

/* Longest stay in a realm, in ticks of the counter; the host's EL2 timer ends it. */
#define WATCHDOG_SECONDS_SHIFT 5 /* 1/32 s */

/* Interrupt controller and timers of this CPU. */
void run_init(void);
/* REC_ENTER once, with the page as the caller filled it; `ticks` until the host's timer interrupts, 0 for the watchdog. */
uint64_t enter_for(struct realm *realm, unsigned int rec, uint64_t ticks);
uint64_t enter(struct realm *realm, unsigned int rec);
/* The same in parts: let the host's EL2 timer expire; acknowledge what interrupted the realm, quieten it, end it. */
void arm_host_timer(uint64_t ticks);
void take_interrupts(void);
/* Interrupt that the host acknowledged after the last entry: 1023 if none. */
extern uint64_t run_interrupt;
/* The counter when the RMM had come back from the last entry. */
extern uint64_t run_left_at;
/* Whether the host's timer had expired at the last exit. */
extern bool run_expired;

/* Answer the realm's host call with a request, and enter. */
#define ask(realm, rec, ...) ask_registers(realm, rec, (const uint64_t[12]){ __VA_ARGS__ })
uint64_t ask_registers(struct realm *realm, unsigned int rec, const uint64_t *registers);
/* As ask(); the realm must come back with the answer, else the running check fails. False then. */
#define answered(realm, rec, ...) answered_registers(realm, rec, (const uint64_t[12]){ __VA_ARGS__ }, __FILE__, __LINE__)
bool answered_registers(struct realm *realm, unsigned int rec, const uint64_t *registers, const char *file, int line);

static inline struct rec_run *run_page(const struct realm *realm)
{
	return (struct rec_run *)realm->run;
}

static inline uint64_t exit_gpr(const struct realm *realm, unsigned int number)
{
	return run_page(realm)->exit.gprs[number];
}

#endif

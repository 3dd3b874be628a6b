/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Marker ABI, version 1: how a program inside the emulated machine tells the
 * instruction counter (images/qemu/plugin) "this is where an event begins / ends".
 *
 * A marker is the one instruction `movz xzr, #imm16`. It writes the zero
 * register, so it has no architectural effect, cannot be trapped and may be
 * executed at every exception level of every world. imm16 is the event number.
 * x0, at that instruction, is
 *
 *     bit  63     0 = the event begins, 1 = it ends
 *     bits 62:0   an id that is unique for this event number within a run
 *
 * A begin and its end carry the same event number and the same id; they may be
 * executed by different programs, exception levels and CPUs.
 *
 * The header is freestanding: guest programs, the RMM and the plugin include it.
 */
#ifndef ORCH_MARKER_H
#define ORCH_MARKER_H

#include <stdint.h>

#define ORCH_MARKER_ABI 1

/* Event numbers. 2..9 are the phases of a run (column `phase` of samples.csv). */
#define ORCH_EVENT_CALIBRATE    0x0000 /* an empty pair: what a pair itself costs */
#define ORCH_EVENT_HOST_READY   0x0001
#define ORCH_EVENT_BOOT         0x0002
#define ORCH_EVENT_REALM_CREATE 0x0003
#define ORCH_EVENT_ATTEST       0x0004
#define ORCH_EVENT_LOAD         0x0005
#define ORCH_EVENT_READ         0x0006
#define ORCH_EVENT_INFER        0x0007
#define ORCH_EVENT_WRITE        0x0008
#define ORCH_EVENT_TEARDOWN     0x0009
#define ORCH_EVENT_USER         0x0100 /* first number that is free for any use */
#define ORCH_EVENT_MAX          0xffff

/* MOVZ, 64-bit, hw = 0, Rd = 31 (Arm ARM, "MOVZ"): everything but imm16 is fixed. */
#define ORCH_MARKER_OPCODE_BASE UINT32_C(0xd280001f)
#define ORCH_MARKER_OPCODE_MASK UINT32_C(0xffe0001f)

#define ORCH_MARKER_OPCODE(event) \
	(ORCH_MARKER_OPCODE_BASE | ((uint32_t)(event) & UINT32_C(0xffff)) << 5)
#define ORCH_MARKER_IS(opcode) \
	(((uint32_t)(opcode) & ORCH_MARKER_OPCODE_MASK) == ORCH_MARKER_OPCODE_BASE)
#define ORCH_MARKER_EVENT(opcode) ((uint32_t)(opcode) >> 5 & UINT32_C(0xffff))

#define ORCH_MARKER_END    (UINT64_C(1) << 63)
#define ORCH_MARKER_ID_MAX (ORCH_MARKER_END - 1)

#ifdef __aarch64__
/*
 * Emit one marker; `event` is a compile-time constant (it is part of the
 * opcode), `value` any expression: an id, with ORCH_MARKER_END or'ed in or not.
 * The "memory" clobber keeps the compiler from moving work across the marker.
 * An event number known only at run time: see guest/host/tools/marker.c.
 */
#define ORCH_MARK(event, value)                                              \
	do {                                                                 \
		register uint64_t orch_mark_x0 __asm__("x0") = (value);      \
		__asm__ volatile("movz xzr, #%1"                             \
				 : : "r"(orch_mark_x0), "i"(event) : "memory"); \
	} while (0)
#define ORCH_MARK_BEGIN(event, id) ORCH_MARK(event, (uint64_t)(id) & ORCH_MARKER_ID_MAX)
#define ORCH_MARK_END(event, id)   ORCH_MARK(event, (uint64_t)(id) | ORCH_MARKER_END)
#endif

#endif

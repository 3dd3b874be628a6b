/* SPDX-License-Identifier: Apache-2.0 */
/* Entry of a realm's CPU, its vectors, and the instructions that C cannot be trusted to emit as written. */
#include "realm_ops.h"

#define STACK_BYTES 2048

	.section .text.entry, "ax"
	.globl _start
_start:
	mrs	x9, mpidr_el1
	and	x9, x9, #0xf
	adrp	x10, start_registers
	add	x10, x10, :lo12:start_registers
	add	x10, x10, x9, lsl #6
	stp	x0, x1, [x10]
	stp	x2, x3, [x10, #16]
	stp	x4, x5, [x10, #32]
	stp	x6, x7, [x10, #48]
	adrp	x11, vectors
	add	x11, x11, :lo12:vectors
	msr	vbar_el1, x11
	adrp	x11, stacks
	add	x12, x9, #1
	mov	x13, #STACK_BYTES
	madd	x11, x12, x13, x11
	mov	sp, x11
	mrs	x11, cpacr_el1
	orr	x11, x11, #(3 << 20)
	msr	cpacr_el1, x11
	isb
	mov	x0, x9
	mov	x1, x10
	bl	realm_main
	b	.

	.text
	.balign	2048
vectors:
	.rept	4
	.balign	128
	b	.
	.endr
	.balign	128
	b	sync
	.balign	128
	b	irq
	.rept	10
	.balign	128
	b	.
	.endr

/* Note what happened; go on behind the instruction, or where `trap_resume` says. */
sync:
	stp	x0, x1, [sp, #-16]!
	adrp	x0, trap_esr
	add	x0, x0, :lo12:trap_esr
	mrs	x1, esr_el1
	str	x1, [x0]
	mrs	x1, far_el1
	str	x1, [x0, #8]
	ldr	x1, [x0, #24]
	add	x1, x1, #1
	str	x1, [x0, #24]
	mrs	x1, elr_el1
	str	x1, [x0, #16]
	add	x1, x1, #4
	msr	elr_el1, x1
	ldr	x1, [x0, #32]
	cbz	x1, 1f
	msr	elr_el1, x1
1:	ldp	x0, x1, [sp], #16
	eret

irq:
	stp	x29, x30, [sp, #-160]!
	stp	x0, x1, [sp, #16]
	stp	x2, x3, [sp, #32]
	stp	x4, x5, [sp, #48]
	stp	x6, x7, [sp, #64]
	stp	x8, x9, [sp, #80]
	stp	x10, x11, [sp, #96]
	stp	x12, x13, [sp, #112]
	stp	x14, x15, [sp, #128]
	stp	x16, x17, [sp, #144]
	bl	take_interrupt
	ldp	x0, x1, [sp, #16]
	ldp	x2, x3, [sp, #32]
	ldp	x4, x5, [sp, #48]
	ldp	x6, x7, [sp, #64]
	ldp	x8, x9, [sp, #80]
	ldp	x10, x11, [sp, #96]
	ldp	x12, x13, [sp, #112]
	ldp	x14, x15, [sp, #128]
	ldp	x16, x17, [sp, #144]
	ldp	x29, x30, [sp], #160
	eret

/* void smc(uint64_t registers[11]): x0..x10 in and out. */
	.globl	smc
smc:
	stp	x19, x30, [sp, #-16]!
	mov	x19, x0
	ldp	x2, x3, [x19, #16]
	ldp	x4, x5, [x19, #32]
	ldp	x6, x7, [x19, #48]
	ldp	x8, x9, [x19, #64]
	ldr	x10, [x19, #80]
	ldp	x0, x1, [x19]
	smc	#0
	stp	x0, x1, [x19]
	stp	x2, x3, [x19, #16]
	stp	x4, x5, [x19, #32]
	stp	x6, x7, [x19, #48]
	stp	x8, x9, [x19, #64]
	str	x10, [x19, #80]
	ldp	x19, x30, [sp], #16
	ret

	/* Go to entry number x1 of the table that follows; each entry is three instructions. */
	.macro	choose
	adr	x3, 1f
	mov	x4, #12
	madd	x3, x1, x4, x3
	br	x3
1:
	.endm
	.macro	entry instruction:vararg
	\instruction
	mov	x0, x2
	ret
	.endm

/* uint64_t load(uint64_t address, uint64_t kind): the register's whole content, all ones before the load. */
	.globl	load
load:
	mov	x2, #-1
	choose
	entry	ldrb w2, [x0]
	entry	ldrh w2, [x0]
	entry	ldr w2, [x0]
	entry	ldr x2, [x0]
	entry	ldrsb x2, [x0]
	entry	ldrsh x2, [x0]
	entry	ldrsw x2, [x0]
	entry	ldrsb w2, [x0]
	entry	ldrsh w2, [x0]
	entry	ldr wzr, [x0]
	entry	ldp x2, x5, [x0]

/* void store(uint64_t address, uint64_t kind, uint64_t value) */
	.globl	store
store:
	choose
	entry	strb w2, [x0]
	entry	strh w2, [x0]
	entry	str w2, [x0]
	entry	str x2, [x0]
	entry	str xzr, [x0]

/* void execute(uint64_t address): comes back by trap_resume when the fetch is refused. */
	.globl	execute
execute:
	stp	x29, x30, [sp, #-16]!
	adrp	x1, trap_resume
	add	x1, x1, :lo12:trap_resume
	adr	x2, 1f
	str	x2, [x1]
	blr	x0
1:	adrp	x1, trap_resume
	str	xzr, [x1, :lo12:trap_resume]
	ldp	x29, x30, [sp], #16
	ret

/* void bench_rsi(uint64_t id, uint64_t repetitions): RSI_VERSION between markers. */
	.globl	bench_rsi
bench_rsi:
	mov	x9, x0
	mov	x10, x1
1:	mov	x0, x9
	mov	x11, #1
	orr	x12, x0, x11, lsl #63
	movz	xzr, #BENCH_EVENT
	ldr	x0, =0xC4000190
	mov	x1, #0x10000
	smc	#0
	mov	x0, x12
	movz	xzr, #BENCH_EVENT
	add	x9, x9, #1
	subs	x10, x10, #1
	b.ne	1b
	ret

/* void mark_realm(uint64_t id) */
	.globl	mark_realm
mark_realm:
	movz	xzr, #BENCH_EVENT
	ret

/* void bench_calls(uint64_t call, uint64_t repetitions): HOST_CALL as often as said. */
	.globl	bench_calls
bench_calls:
	mov	x9, x0
	mov	x10, x1
1:	ldr	x0, =0xC4000199
	mov	x1, x9
	smc	#0
	subs	x10, x10, #1
	b.ne	1b
	ret

/* void bench_mmio(uint64_t address, uint64_t repetitions) */
	.globl	bench_mmio
bench_mmio:
	ldr	w2, [x0]
	subs	x1, x1, #1
	b.ne	bench_mmio
	ret

	.data
	.balign	8
	.globl	trap_esr, trap_far, trap_elr, trap_count, trap_resume
trap_esr:	.quad 0
trap_far:	.quad 0
trap_elr:	.quad 0
trap_count:	.quad 0
trap_resume:	.quad 0
start_registers: .space 64 * REALM_CPUS

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Onto a signature's stack and off it (signer_target.c). Off it is by an interrupt or by its end; which CPU comes back to it does
 * not matter, as nothing there belongs to one.
 *
 * What is kept on it meanwhile: x2..x30, ELR, SPSR, a word of nothing, x0 and x1 (which the vector has pushed). The word at
 * the stack's very end points to its struct workplace: sp, cpu_sp.
 */
#include "asm.h"

	.macro	workplace_of_sp to
	mov	\to, sp
	orr	\to, \to, #(STACK_SLOT - 1)
	ldr	\to, [\to, #-15]
	.endm

	.macro	back_to_cpu from
	ldr	x1, [\from, #8]
	mov	sp, x1
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	x29, x30, [sp], #96
	.endm

	.text
/*
 * unsigned int signer_run(struct workplace *place): TRAP_IRQ or TRAP_FIQ when an interrupt broke it off, else SIGNER_END.
 */
	.globl signer_run
signer_run:
	stp	x29, x30, [sp, #-96]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	mov	x1, sp
	str	x1, [x0, #8]
	ldr	x1, [x0]
	mov	sp, x1
	ldp	x0, x1, [sp, #232]
	msr	elr_el2, x0
	msr	spsr_el2, x1
	ldp	x2, x3, [sp]
	ldp	x4, x5, [sp, #16]
	ldp	x6, x7, [sp, #32]
	ldp	x8, x9, [sp, #48]
	ldp	x10, x11, [sp, #64]
	ldp	x12, x13, [sp, #80]
	ldp	x14, x15, [sp, #96]
	ldp	x16, x17, [sp, #112]
	ldp	x18, x19, [sp, #128]
	ldp	x20, x21, [sp, #144]
	ldp	x22, x23, [sp, #160]
	ldp	x24, x25, [sp, #176]
	ldp	x26, x27, [sp, #192]
	ldp	x28, x29, [sp, #208]
	ldr	x30, [sp, #224]
	ldp	x0, x1, [sp, #256]
	add	sp, sp, #SIGNER_FRAME
	eret
	dsb	nsh
	isb

/* From the vectors, on a signature's stack: x0 and x1 are on it, x1 = vector slot. */
	.globl signer_interrupted
signer_interrupted:
	sub	sp, sp, #256
	stp	x2, x3, [sp]
	stp	x4, x5, [sp, #16]
	stp	x6, x7, [sp, #32]
	stp	x8, x9, [sp, #48]
	stp	x10, x11, [sp, #64]
	stp	x12, x13, [sp, #80]
	stp	x14, x15, [sp, #96]
	stp	x16, x17, [sp, #112]
	stp	x18, x19, [sp, #128]
	stp	x20, x21, [sp, #144]
	stp	x22, x23, [sp, #160]
	stp	x24, x25, [sp, #176]
	stp	x26, x27, [sp, #192]
	stp	x28, x29, [sp, #208]
	str	x30, [sp, #224]
	mrs	x2, elr_el2
	mrs	x3, spsr_el2
	stp	x2, x3, [sp, #232]
	sub	w0, w1, #4                /* the slots of an exception level's own are four before a realm's */
	workplace_of_sp x2
	mov	x3, sp
	str	x3, [x2]
	back_to_cpu x2
	ret

/* Where the function that made the signature returns to. */
	.globl signer_end
signer_end:
	msr	daifset, #3
	workplace_of_sp x2
	back_to_cpu x2
	mov	w0, #SIGNER_END
	ret

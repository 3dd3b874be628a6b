/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry from EL3 (cold on the first CPU, warm on every other and after each hot-plug) and EL2 vectors.
 * RMM-EL3 communication interface 0.4: x0 CPU, x1 interface version, x2 CPU count, x3 shared page.
 */
#include "asm.h"

	.section .text.entry, "ax"
	.globl rmm_entry
rmm_entry:
	mov	x19, x0
	mov	x20, x1
	mov	x21, x2
	mov	x22, x3
	cmp	x19, #RMM_MAX_CPUS
	b.hs	bad_cpu

	adrp	x0, vectors
	add	x0, x0, :lo12:vectors
	msr	vbar_el2, x0
	adrp	x0, stacks_start
	add	x1, x19, #1
	mov	x2, #STACK_SLOT
	madd	x0, x1, x2, x0
	mov	sp, x0

	/* The same address serves cold and warm boot: what tells them apart must survive the clearing of .bss. */
	adrp	x23, booted
	ldr	w0, [x23, :lo12:booted]
	cbnz	w0, warm

	adrp	x0, bss_start
	adrp	x1, bss_end
1:	stp	xzr, xzr, [x0], #16
	cmp	x0, x1
	b.lo	1b
	bl	mmu_build
	bl	mmu_enable
	mov	w0, #1
	str	w0, [x23, :lo12:booted]
	mov	x0, x19
	mov	x1, x20
	mov	x2, x21
	mov	x3, x22
	bl	boot_cold
	b	boot_end
warm:
	bl	mmu_enable
	mov	x0, x19
	bl	boot_warm
boot_end:
	/* x0: status of the boot. EL3 does not return here after a failure. */
	bl	main_loop
	b	.

	/* A CPU number without a stack: E_RMM_BOOT_CPU_ID_OUT_OF_RANGE. */
bad_cpu:
	ldr	x0, =EL3_BOOT_COMPLETE
	mov	x1, #-4
	smc	#0
	b	.

/*
 * void mmu_enable(void): loads the tables that mmu_build() filled.
 */
	.text
	.globl mmu_enable
mmu_enable:
	adrp	x0, mmu_registers
	add	x0, x0, :lo12:mmu_registers
	ldp	x1, x2, [x0]
	ldp	x3, x4, [x0, #16]
	msr	mair_el2, x1
	msr	tcr_el2, x2
	msr	ttbr0_el2, x3
	tlbi	alle2
	dsb	nsh
	isb
	msr	sctlr_el2, x4
	isb
	ret

/* ---- Vectors ------------------------------------------------------------------------------------------- */

	.macro	own slot
	.balign	128
	/* Is the stack good? Bit STACK_SHIFT is set in its upper half and clear in the hole. No register is free
	 * and nothing may be pushed before that is known, so sp and x0 lend each other their values. */
	sub	sp, sp, #16
	add	sp, sp, x0
	sub	x0, sp, x0
	tbz	x0, #STACK_SHIFT, overflow
	sub	x0, sp, x0
	sub	sp, sp, x0
	stp	x0, x1, [sp]
	mov	x1, #\slot
	.if \slot == TRAP_SYNC + 4
	b	own_sync
	.elseif \slot == TRAP_IRQ + 4 || \slot == TRAP_FIQ + 4
	b	own_interrupt
	.else
	b	fatal
	.endif
	.endm

	.macro	realm slot
	.balign	128
	stp	x0, x1, [sp, #-16]!
	mov	x0, #\slot
	b	realm_trap
	.endm

	.balign	2048
vectors:
	own	0
	own	1
	own	2
	own	3
	own	4
	own	5
	own	6
	own	7
	realm	TRAP_SYNC
	realm	TRAP_IRQ
	realm	TRAP_FIQ
	realm	TRAP_SERROR
	/* A realm's EL0 may be AArch32 whatever its ID registers say. */
	realm	TRAP_SYNC
	realm	TRAP_IRQ
	realm	TRAP_FIQ
	realm	TRAP_SERROR

/* A data abort of the RMM itself: the routines that touch memory of the normal world may fault, and then
 * answer false; anything else is a defect. */
own_sync:
	mrs	x0, esr_el2
	lsr	x0, x0, #26
	cmp	x0, #0x25
	b.ne	fatal
	mrs	x0, elr_el2
	adrp	x1, fault_safe_begin
	add	x1, x1, :lo12:fault_safe_begin
	cmp	x0, x1
	b.lo	1f
	adrp	x1, fault_safe_end
	add	x1, x1, :lo12:fault_safe_end
	cmp	x0, x1
	b.hs	1f
	msr	elr_el2, x1
	ldp	x0, x1, [sp], #16
	eret
1:	mov	x1, #TRAP_SYNC + 4

/* An interrupt of the RMM itself: only signatures are made with interrupts open, on the stacks behind those of the CPUs. */
own_interrupt:
	adrp	x0, stacks_start
	add	x0, x0, #(RMM_MAX_CPUS * STACK_SLOT)
	cmp	sp, x0
	b.hs	signer_interrupted

/* x0 and x1 are on the stack, x1 = vector slot: lay out x0..x30 and sp as an array, then report. */
fatal:
	sub	sp, sp, #256
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x19, [sp, #144]
	stp	x20, x21, [sp, #160]
	stp	x22, x23, [sp, #176]
	stp	x24, x25, [sp, #192]
	stp	x26, x27, [sp, #208]
	stp	x28, x29, [sp, #224]
	ldp	x2, x3, [sp, #256]
	stp	x2, x3, [sp]
	add	x2, sp, #272
	stp	x30, x2, [sp, #240]
	mov	x0, sp
	bl	fatal_exception
	b	.

/* The stack ran into its hole: report on a stack of its own. Only sp is worth knowing. */
overflow:
	mov	x1, x0
	adrp	x0, overflow_stack_top
	add	x0, x0, :lo12:overflow_stack_top
	mov	sp, x0
	mov	x0, x1
	bl	fatal_overflow
	b	.

	.data
	.balign	8
	.globl	booted
booted:	.quad	0

	.section .stacks, "aw", %nobits
	.space	(RMM_MAX_CPUS + SIGNERS) * STACK_SLOT

	.bss
	.balign	16
	.space	2048
overflow_stack_top:

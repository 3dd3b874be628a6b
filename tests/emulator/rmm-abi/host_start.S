/* SPDX-License-Identifier: Apache-2.0 */
/* NS-EL2: entry from BL31, vectors, SMC. The MMU stays off. */
#include "realm_ops.h"

	.section .text.entry, "ax"
	.globl	_start
_start:
	adrp	x0, vectors
	add	x0, x0, :lo12:vectors
	msr	vbar_el2, x0
	mov	x0, #(1 << 31)            /* HCR_EL2: EL1 is AArch64, E2H = 0, nothing trapped */
	msr	hcr_el2, x0
	mov	x0, #0x32ff               /* CPTR_EL2: FP, and SVE where there is one, not trapped */
	msr	cptr_el2, x0
	isb
	adrp	x0, bss_start
	add	x0, x0, :lo12:bss_start
	adrp	x1, bss_end
	add	x1, x1, :lo12:bss_end
1:	str	xzr, [x0], #8
	cmp	x0, x1
	b.lo	1b
	adrp	x0, stack_top
	add	x0, x0, :lo12:stack_top
	mov	sp, x0
	bl	host_main
	.globl	power_off
power_off:
	ldr	x0, =0x84000008           /* PSCI SYSTEM_OFF */
	smc	#0
	b	.

	.macro	slot number
	.balign	128
	.if \number == 4
	b	sync
	.else
	mov	x0, #\number
	b	unexpected
	.endif
	.endm

	.balign	2048
vectors:
	.irp	number, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	slot	\number
	.endr

/* An abort of probe_read() or probe_write() is noted; anything else is the end. */
sync:
	stp	x0, x1, [sp, #-16]!
	adrp	x0, probe_resume
	ldr	x1, [x0, :lo12:probe_resume]
	cbz	x1, 1f
	msr	elr_el2, x1
	adrp	x0, probe_esr
	add	x0, x0, :lo12:probe_esr
	mrs	x1, esr_el2
	str	x1, [x0]
	mrs	x1, far_el2
	str	x1, [x0, #8]
	ldp	x0, x1, [sp], #16
	eret
1:	mov	x0, #4
unexpected:
	mrs	x1, esr_el2
	mrs	x2, elr_el2
	mrs	x3, far_el2
	b	bail_out_exception

	.macro	probe name, instruction:vararg
	.globl	\name
\name:
	adrp	x2, probe_esr
	add	x2, x2, :lo12:probe_esr
	adr	x3, 1f
	stp	xzr, xzr, [x2]
	str	x3, [x2, #16]
	dsb	sy
	\instruction
	dsb	sy
1:	str	xzr, [x2, #16]
	mov	x0, x1
	ret
	.endm

/* uint64_t probe_read(uint64_t address, uint64_t unread): what is there, or `unread` after an abort (probe_esr). */
	probe	probe_read, ldr x1, [x0]
/* uint64_t probe_write(uint64_t address, uint64_t value) */
	probe	probe_write, str x1, [x0]

	.macro	save
	stp	x29, x30, [sp, #-112]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	str	x18, [sp, #96]
	.endm
	.macro	restore
	ldr	x18, [sp, #96]
	ldp	x27, x28, [sp, #80]
	ldp	x25, x26, [sp, #64]
	ldp	x23, x24, [sp, #48]
	ldp	x21, x22, [sp, #32]
	ldp	x19, x20, [sp, #16]
	ldp	x29, x30, [sp], #112
	.endm

/* void host_smc(uint64_t registers[18]): x0..x17 in and out. */
	.globl	host_smc
host_smc:
	save
	mov	x19, x0
	ldp	x2, x3, [x19, #16]
	ldp	x4, x5, [x19, #32]
	ldp	x6, x7, [x19, #48]
	ldp	x8, x9, [x19, #64]
	ldp	x10, x11, [x19, #80]
	ldp	x12, x13, [x19, #96]
	ldp	x14, x15, [x19, #112]
	ldp	x16, x17, [x19, #128]
	ldp	x0, x1, [x19]
	smc	#0
	stp	x0, x1, [x19]
	stp	x2, x3, [x19, #16]
	stp	x4, x5, [x19, #32]
	stp	x6, x7, [x19, #48]
	stp	x8, x9, [x19, #64]
	stp	x10, x11, [x19, #80]
	stp	x12, x13, [x19, #96]
	stp	x14, x15, [x19, #112]
	stp	x16, x17, [x19, #128]
	restore
	ret

/* void host_smc_marked(uint64_t registers[6], uint64_t id): x0..x5 in, x0..x4 out; between the markers lie the SMC and two
 * or three instructions. */
	.globl	host_smc_marked
host_smc_marked:
	save
	mov	x19, x0
	mov	x20, #1
	orr	x20, x1, x20, lsl #63
	mov	x0, x1
	ldr	x21, [x19]
	ldr	x1, [x19, #8]
	ldp	x2, x3, [x19, #16]
	ldp	x4, x5, [x19, #32]
	movz	xzr, #BENCH_EVENT
	mov	x0, x21
	smc	#0
	mov	x21, x0
	mov	x0, x20
	movz	xzr, #BENCH_EVENT
	stp	x21, x1, [x19]
	stp	x2, x3, [x19, #16]
	str	x4, [x19, #32]
	restore
	ret

/* void mark(uint64_t id) */
	.globl	mark
mark:
	movz	xzr, #BENCH_EVENT
	ret

	.data
	.balign	8
	.globl	probe_esr, probe_far
probe_esr:	.quad 0
probe_far:	.quad 0
probe_resume:	.quad 0

/* SPDX-License-Identifier: Apache-2.0 */
/* Header of an arm64 kernel image (Linux, Documentation/arch/arm64/booting.rst), entry at EL1 with the MMU off, vectors. */
	.section .text.head, "ax"
	.globl	image_head
image_head:
	b	start
	.long	0
	.quad	0                         /* text offset */
	.quad	image_end                 /* size */
	.quad	0xa                       /* little endian, 4 KiB pages, anywhere in memory */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0

start:
	adrp	x1, vectors
	add	x1, x1, :lo12:vectors
	msr	vbar_el1, x1
	isb
	adrp	x1, stack_top
	add	x1, x1, :lo12:stack_top
	mov	sp, x1
	bl	guest_main
	ldr	w0, 1f
	smc	#0
	b	.
1:	.word	0x84000008                /* PSCI SYSTEM_OFF */

	.balign	2048
vectors:
	.rept	4
	.balign	128
	b	.
	.endr
	.balign	128
	b	sync
	.rept	11
	.balign	128
	b	.
	.endr

/* Count it and go on behind the instruction. */
sync:
	stp	x0, x1, [sp, #-16]!
	adrp	x0, trapped
	ldr	x1, [x0, :lo12:trapped]
	add	x1, x1, #1
	str	x1, [x0, :lo12:trapped]
	mrs	x0, elr_el1
	add	x0, x0, #4
	msr	elr_el1, x0
	ldp	x0, x1, [sp], #16
	eret

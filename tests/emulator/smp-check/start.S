/* SPDX-License-Identifier: Apache-2.0 */
/* Header of an arm64 kernel image (Linux, Documentation/arch/arm64/booting.rst), entries at EL1 with the MMU off. */
	.section .text.head, "ax"
	.globl	image_head
image_head:
	b	first
	.long	0
	.quad	0                         /* text offset */
	.quad	image_end                 /* size */
	.quad	0xa                       /* little endian, 4 KiB pages, anywhere in memory */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0

first:
	mov	x0, #0
	mov	x2, #0
	b	set_up

/* x0: the context of CPU_ON, number of the vCPU and the order's number << 8. */
	.globl	other
other:
	lsr	x2, x0, #8
	and	x0, x0, #0xff
set_up:
	adrp	x1, stacks
	add	x1, x1, :lo12:stacks
	add	x1, x1, x0, lsl #12
	add	sp, x1, #4096
	adrp	x1, vectors
	add	x1, x1, :lo12:vectors
	msr	vbar_el1, x1
	isb
	cbnz	x0, 1f
	bl	first_main
	b	.
1:	mov	x1, x2
	bl	other_main
	b	.

	.balign	2048
vectors:
	.rept	16
	.balign	128
	b	unexpected
	.endr
unexpected:
	mrs	x0, esr_el1
	mrs	x1, elr_el1
	bl	crash
	b	.

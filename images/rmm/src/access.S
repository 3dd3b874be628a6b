/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory accesses that are allowed to fault. The vector sends a data abort between fault_safe_begin and
 * fault_safe_end to the latter, which makes the routine answer false; so none of them uses the stack or
 * touches x30.
 */
	.text
	.globl fault_safe_begin, fault_safe_end

fault_safe_begin:
/*
 * bool access_copy(void *to, const void *from, size_t bytes): all three multiples of 8.
 */
	.globl access_copy
access_copy:
	subs	x2, x2, #64
	b.lo	2f
1:	ldp	x3, x4, [x1]
	ldp	x5, x6, [x1, #16]
	ldp	x7, x8, [x1, #32]
	ldp	x9, x10, [x1, #48]
	add	x1, x1, #64
	stp	x3, x4, [x0]
	stp	x5, x6, [x0, #16]
	stp	x7, x8, [x0, #32]
	stp	x9, x10, [x0, #48]
	add	x0, x0, #64
	subs	x2, x2, #64
	b.hs	1b
2:	adds	x2, x2, #64
	b.eq	4f
3:	ldr	x3, [x1], #8
	str	x3, [x0], #8
	subs	x2, x2, #8
	b.ne	3b
4:	mov	w0, #1
	ret

/*
 * bool access_parts(void *to, const void *from, const struct part *parts): of two structures that are alike.
 */
	.globl access_parts
access_parts:
1:	ldrh	w3, [x2], #2
	ldrh	w4, [x2], #2
	cbz	w4, 4f
	add	x5, x0, x3
	add	x6, x1, x3
	tbz	w4, #3, 2f
	ldr	x7, [x6], #8
	str	x7, [x5], #8
	subs	w4, w4, #8
	b.eq	1b
2:	ldp	x7, x8, [x6], #16
	stp	x7, x8, [x5], #16
	subs	w4, w4, #16
	b.ne	2b
	b	1b
4:	mov	w0, #1
	ret

/*
 * bool access_zero(void *to, size_t bytes): both multiples of 2 KiB, which the block that the CPU clears at once divides
 * by architecture (DCZID_EL0.BS is the log2 of its size in words). Nearly all CPUs have 64 bytes.
 */
	.globl access_zero
access_zero:
	mrs	x2, dczid_el0
	mov	x3, #4
	lsl	x2, x3, x2
	add	x3, x0, x1
	cmp	x2, #64
	b.ne	2f
1:	.rept	16
	dc	zva, x0
	add	x0, x0, #64
	.endr
	cmp	x0, x3
	b.lo	1b
	mov	w0, #1
	ret
2:	dc	zva, x0
	add	x0, x0, x2
	cmp	x0, x3
	b.lo	2b
	mov	w0, #1
	ret

fault_safe_end:
	mov	w0, wzr
	ret

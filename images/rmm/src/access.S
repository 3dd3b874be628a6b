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
 * bool access_wipe(void *granule): zeroes 4 KiB, with the block that the CPU clears at once (DCZID_EL0.BS is
 * the log2 of its size in words; at most 2 KiB by architecture).
 */
	.globl access_wipe
access_wipe:
	mrs	x1, dczid_el0
	mov	x2, #4
	lsl	x2, x2, x1
	add	x3, x0, #4096
	cmp	x2, #1024
	b.hi	2f
1:	dc	zva, x0
	add	x0, x0, x2
	dc	zva, x0
	add	x0, x0, x2
	dc	zva, x0
	add	x0, x0, x2
	dc	zva, x0
	add	x0, x0, x2
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

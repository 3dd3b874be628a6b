/* SPDX-License-Identifier: Apache-2.0 */
/* V0..V31, FPCR and FPSR filled from a pattern, and compared with it. */

/* void fp_set(uint64_t pattern): Vn = pattern + n in the lower half, its complement in the upper one. */
	.text
	.globl	fp_set
fp_set:
	mov	x1, x0
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	add	x1, x0, #\n
	fmov	d\n, x1
	mvn	x1, x1
	mov	v\n\().d[1], x1
	.endr
	and	x1, x0, #0x00c00000
	msr	fpcr, x1
	and	x1, x0, #0x1f
	msr	fpsr, x1
	ret

/* uint64_t fp_differences(uint64_t pattern): how many of the 34 registers do not hold it. */
	.globl	fp_differences
fp_differences:
	mov	x3, #0
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	add	x1, x0, #\n
	fmov	x2, d\n
	mov	x4, v\n\().d[1]
	mvn	x4, x4
	cmp	x1, x2
	ccmp	x1, x4, #0, eq
	cinc	x3, x3, ne
	.endr
	and	x1, x0, #0x00c00000
	mrs	x2, fpcr
	cmp	x1, x2
	cinc	x3, x3, ne
	and	x1, x0, #0x1f
	mrs	x2, fpsr
	cmp	x1, x2
	cinc	x3, x3, ne
	mov	x0, x3
	ret

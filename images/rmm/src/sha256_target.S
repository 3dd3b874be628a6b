/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 compression with the CPU's instructions (FIPS 180-4, 6.2.2; Arm ARM, FEAT_SHA256).
 *
 * The vector registers hold what the normal world or a realm left there: each one used is saved. Callers do not
 * run with FP traps (CPTR_EL2.TFP) set.
 */
	.arch	armv8.5-a+sha2

	/* Four rounds: message words in \m0, the following ones in \m1..\m3, constants in \k. */
	.macro	rounds k, m0, m1, m2, m3, expand
	add	v8.4s, v\k\().4s, v\m0\().4s
	.if \expand
	sha256su0 v\m0\().4s, v\m1\().4s
	.endif
	mov	v9.16b, v0.16b
	sha256h	q0, q1, v8.4s
	sha256h2 q1, q9, v8.4s
	.if \expand
	sha256su1 v\m0\().4s, v\m2\().4s, v\m3\().4s
	.endif
	.endm

	.macro	saved insn
	\insn	q2, q3, [sp, #32]
	\insn	q4, q5, [sp, #64]
	\insn	q6, q7, [sp, #96]
	\insn	q8, q9, [sp, #128]
	\insn	q16, q17, [sp, #160]
	\insn	q18, q19, [sp, #192]
	\insn	q20, q21, [sp, #224]
	\insn	q22, q23, [sp, #256]
	\insn	q24, q25, [sp, #288]
	\insn	q26, q27, [sp, #320]
	\insn	q28, q29, [sp, #352]
	\insn	q30, q31, [sp, #384]
	.endm

/*
 * void arch_sha256_blocks(uint32_t state[8], const uint8_t *data, size_t blocks)
 */
	.text
	.globl arch_sha256_blocks
arch_sha256_blocks:
	cbz	x2, 2f
	stp	q0, q1, [sp, #-416]!
	saved	stp
	adrp	x3, constants
	add	x3, x3, :lo12:constants
	ld1	{v16.4s-v19.4s}, [x3], #64
	ld1	{v20.4s-v23.4s}, [x3], #64
	ld1	{v24.4s-v27.4s}, [x3], #64
	ld1	{v28.4s-v31.4s}, [x3]
	ld1	{v0.4s, v1.4s}, [x0]
1:	ld1	{v4.16b-v7.16b}, [x1], #64
	rev32	v4.16b, v4.16b
	rev32	v5.16b, v5.16b
	rev32	v6.16b, v6.16b
	rev32	v7.16b, v7.16b
	mov	v2.16b, v0.16b
	mov	v3.16b, v1.16b
	rounds	16, 4, 5, 6, 7, 1
	rounds	17, 5, 6, 7, 4, 1
	rounds	18, 6, 7, 4, 5, 1
	rounds	19, 7, 4, 5, 6, 1
	rounds	20, 4, 5, 6, 7, 1
	rounds	21, 5, 6, 7, 4, 1
	rounds	22, 6, 7, 4, 5, 1
	rounds	23, 7, 4, 5, 6, 1
	rounds	24, 4, 5, 6, 7, 1
	rounds	25, 5, 6, 7, 4, 1
	rounds	26, 6, 7, 4, 5, 1
	rounds	27, 7, 4, 5, 6, 1
	rounds	28, 4, 5, 6, 7, 0
	rounds	29, 5, 6, 7, 4, 0
	rounds	30, 6, 7, 4, 5, 0
	rounds	31, 7, 4, 5, 6, 0
	add	v0.4s, v0.4s, v2.4s
	add	v1.4s, v1.4s, v3.4s
	subs	x2, x2, #1
	b.ne	1b
	st1	{v0.4s, v1.4s}, [x0]
	saved	ldp
	ldp	q0, q1, [sp], #416
2:	ret

	/* 4.2.2 */
	.section .rodata
	.balign	16
constants:
	.word	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5
	.word	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174
	.word	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da
	.word	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967
	.word	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85
	.word	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070
	.word	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3
	.word	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2

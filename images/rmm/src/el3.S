/* SPDX-License-Identifier: Apache-2.0 */
/* The RMM's turn ends and begins. */
	.text
/*
 * void el3_request(const uint64_t answer[6], uint64_t request[8]): hands the results to the normal world and waits for
 * its next request, x0..x7. EL3 keeps x8 and up.
 */
	.globl el3_request
el3_request:
	mov	x9, x1
	mov	x8, x0
	ldp	x0, x1, [x8]
	ldp	x2, x3, [x8, #16]
	ldp	x4, x5, [x8, #32]
	smc	#0
	stp	x0, x1, [x9]
	stp	x2, x3, [x9, #16]
	stp	x4, x5, [x9, #32]
	stp	x6, x7, [x9, #48]
	ret

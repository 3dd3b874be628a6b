/* SPDX-License-Identifier: Apache-2.0 */
/* Runs in the realm, at EL1 with the MMU off: page 0 is this, page 1 the structure of RSI_HOST_CALL. */
#include "payload.h"

	.section .rodata
	.balign 4096
	.global payload
payload:
	adr	x20, payload
	add	x20, x20, #0x1000
	mov	w0, #PAYLOAD_IMM
	strh	w0, [x20]
next:
	ldr	x0, =0xc4000199            /* RSI_HOST_CALL */
	mov	x1, x20
	smc	#0
	ldp	x2, x3, [x20, #8]
	ldr	x4, [x20, #24]
	cmp	x2, #ORDER_LOAD
	b.eq	load
	cmp	x2, #ORDER_STORE
	b.eq	store
	cmp	x2, #ORDER_OFF
	b.eq	off
	cmp	x2, #ORDER_EMPTY
	b.eq	empty
	cmp	x2, #ORDER_RAM
	b.eq	ram
	cmp	x2, #ORDER_SPIN
	b.ne	next
spin:
	b	spin
load:
	ldr	x0, [x3]
	str	x0, [x20, #8]
	b	next
store:
	str	x4, [x3]
	b	next
empty:
	mov	x5, #0
	b	set
ram:
	mov	x5, #1
set:
	ldr	x0, =0xc4000197            /* RSI_IPA_STATE_SET */
	mov	x1, x3
	add	x2, x3, #0x1000
	mov	x3, x5
	mov	x4, #1
	smc	#0
	str	x0, [x20, #8]
	b	next
off:
	ldr	x0, =0x84000008
	smc	#0
	b	off
	.ltorg
	.balign 4096
	.global payload_end
payload_end:
	.section .note.GNU-stack, "", %progbits

/* SPDX-License-Identifier: Apache-2.0 */
/* The realm payload as bytes, whole pages. */
	.section .rodata, "a"
	.balign	4096
	.globl	realm_image, realm_image_end
realm_image:
	.incbin	"realm.bin"
	.balign	4096
realm_image_end:

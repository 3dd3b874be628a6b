/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of ES384 (ECDSA on P-384 with SHA-384; RFC 9053, 2.1), and how a step of such a signature ends. */
#ifndef RMM_ES384_H
#define RMM_ES384_H

/* A coordinate or a scalar; a signature is two of them, r and s, highest byte first. */
#define ATTEST_SCALAR_BYTES    48U
#define ATTEST_SIGNATURE_BYTES (2 * ATTEST_SCALAR_BYTES)
/* Longest message that is signed here. */
#define SIGNER_MESSAGE_BYTES   832U

enum signing {
	SIGNING_DONE,
	SIGNING_FAILED,
	SIGNING_IRQ,                  /* left because of one; the rest of the work is another call's */
	SIGNING_FIQ,
};

#endif

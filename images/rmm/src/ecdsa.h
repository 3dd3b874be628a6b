/* SPDX-License-Identifier: Apache-2.0 */
/* ECDSA on P-384 with SHA-384 (ES384, RFC 9053 2.1), by the distribution's Mbed TLS: all of it is in ecdsa.c. */
#ifndef RMM_ECDSA_H
#define RMM_ECDSA_H

#include "es384.h"
#include "types.h"

/* The nonce follows from key and message (RFC 6979): equal messages have equal signatures. False: no such key, no memory. */
bool ecdsa_sign(const uint8_t key[ATTEST_SCALAR_BYTES], const uint8_t *message, size_t bytes,
		uint8_t signature[ATTEST_SIGNATURE_BYTES]);
/* x and y of the key's point. */
bool ecdsa_public_key(const uint8_t key[ATTEST_SCALAR_BYTES], uint8_t point[2 * ATTEST_SCALAR_BYTES]);

#endif

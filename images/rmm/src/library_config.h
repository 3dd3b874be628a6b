/* SPDX-License-Identifier: Apache-2.0 */
/* What is compiled of Mbed TLS (its MBEDTLS_CONFIG_FILE): ECDSA on P-384 with SHA-384 and nothing else. */
#ifndef RMM_LIBRARY_CONFIG_H
#define RMM_LIBRARY_CONFIG_H

#include "heap.h"

/* No operating system: memory from our blocks, no time, no entropy. */
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_MEMORY
#define MBEDTLS_PLATFORM_CALLOC_MACRO heap_calloc
#define MBEDTLS_PLATFORM_FREE_MACRO   heap_free
#define MBEDTLS_PLATFORM_ZEROIZE_ALT
#define MBEDTLS_NO_PLATFORM_ENTROPY

#define MBEDTLS_HAVE_ASM
/* A division of 128 bits would be libgcc's. */
#define MBEDTLS_NO_UDBL_DIVISION
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_DP_SECP384R1_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
/* Multiples of the base point as constants: a signature multiplies no other. */
#define MBEDTLS_ECP_FIXED_POINT_OPTIM 1
#define MBEDTLS_ECDSA_C
#define MBEDTLS_ECDSA_DETERMINISTIC
#define MBEDTLS_HMAC_DRBG_C
#define MBEDTLS_MD_C
#define MBEDTLS_SHA384_C
/* ECDSA_C asks for these; the linker leaves them out. */
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C

#endif

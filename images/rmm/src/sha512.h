/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-512 (FIPS 180-4) of a whole message, in C: few realms ask for it. */
#ifndef RMM_SHA512_H
#define RMM_SHA512_H

#include "types.h"

#define SHA512_BYTES 64U

void sha512(const void *message, size_t bytes, uint8_t digest[SHA512_BYTES]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4) of a whole message; the compression function is the machine's. */
#ifndef RMM_SHA256_H
#define RMM_SHA256_H

#include "types.h"

#define SHA256_BYTES 32U

void sha256(const void *message, size_t bytes, uint8_t digest[SHA256_BYTES]);

#endif

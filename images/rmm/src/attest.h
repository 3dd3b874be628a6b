/* SPDX-License-Identifier: Apache-2.0 */
/* Who vouches for realms (RMM 1.0, A7.2): the Realm Attestation Key, and the platform's token that binds it. EL3 has both. */
#ifndef RMM_ATTEST_H
#define RMM_ATTEST_H

#include "types.h"

/* The public key as a COSE_Key of four pairs. */
#define ATTEST_PUBLIC_BYTES 107U

/* Bytes that stay as they are. */
struct bytes {
	const uint8_t *at;
	size_t count;
};

/* Ask EL3, once, before any realm runs. What is missing, or NULL: without these there are no tokens, and all else works. */
const char *attest_init(void);
bool attest_ready(void);
const uint8_t *attest_private_key(void);
struct bytes attest_public_key(void);
/* A COSE_Sign1 with its tag. */
struct bytes attest_platform_token(void);

#endif

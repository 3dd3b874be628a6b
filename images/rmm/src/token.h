/* SPDX-License-Identifier: Apache-2.0 */
/* The attestation token that a REC is making or reading (RMM 1.0, A7.2). */
#ifndef RMM_TOKEN_H
#define RMM_TOKEN_H

#include "realm.h"
#include "signer.h"
#include "types.h"

#define TOKEN_CHALLENGE_BYTES 64U
/* The realm's COSE_Sign1, signature and all, with measurements of 64 bytes. */
#define TOKEN_REALM_BYTES     800U

enum token_state {
	TOKEN_NONE,
	TOKEN_UNSIGNED,               /* a signature may be under way */
	TOKEN_SIGNED,
};

struct token {
	enum token_state state;
	uint16_t realm_bytes;
	uint16_t read, left;          /* bytes of the whole token that the realm has had, and that it has not */
	uint8_t realm[TOKEN_REALM_BYTES];
};

/* Begin one, whatever was under way: the realm's claims as they are now. Its size in bytes; 0 if there can be none. */
size_t token_begin(struct token *token, const struct realm *realm, const uint8_t challenge[TOKEN_CHALLENGE_BYTES]);
/* Sign it, or go on with that. */
enum signing token_sign(struct token *token);
/* Copy what comes next of a signed one, at most `most` bytes. Returns how much; the last byte ends the token. */
size_t token_read(struct token *token, void *to, size_t most);
/* Forget it. */
void token_end(struct token *token);

#endif

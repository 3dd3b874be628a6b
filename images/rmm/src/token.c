/* SPDX-License-Identifier: Apache-2.0 */
#include "token.h"

#include "attest.h"
#include "cbor.h"
#include "es384.h"
#include "measure.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);

/* Claims of the realm's token (A7.2.3.1). */
#define CLAIM_CHALLENGE       10
#define CLAIM_PROFILE         265
#define CLAIM_PERSONALIZATION 44235
#define CLAIM_HASH            44236
#define CLAIM_KEY             44237
#define CLAIM_RIM             44238
#define CLAIM_REMS            44239
#define CLAIM_KEY_HASH        44240
#define CLAIMS                8
/* What the two tokens are called in the collection (A7.2.3). */
#define LABEL_PLATFORM 44234
#define LABEL_REALM    44241

#define PROFILE "tag:arm.com,2023:realm#1.0.0"

/* Tag of the collection: 399 (A7.2.3), or the later 907, whose values are records with the CoAP content format of a
 * COSE_Sign1 in front. */
#ifndef TOKEN_WRAPPER
#define TOKEN_WRAPPER 399
#endif
#define RECORDS_WRAPPER 907
#define RECORD_TYPE     263
_Static_assert(TOKEN_WRAPPER == 399 || TOKEN_WRAPPER == RECORDS_WRAPPER, "TOKEN_WRAPPER is 399 or 907");

/* COSE_Sign1 (RFC 9052, 4.2): tag, and the protected header {1: -35}, ES384. */
#define TAG_SIGN1 18
static const uint8_t protected_header[] = { 0xa1, 0x01, 0x38, 0x22 };

/* In front of the payload: tag, head of the array, protected header as a string, empty map. */
#define PAYLOAD_OFFSET (2 + 1 + sizeof(protected_header) + 1)
/* Behind it: the signature and its head. */
#define PAYLOAD_END    (2 + ATTEST_SIGNATURE_BYTES)

/* Heads and labels around the two tokens. */
#define FRAME_BYTES 16
#define PIECES      4
_Static_assert(TOKEN_REALM_BYTES + 16 <= SIGNER_MESSAGE_BYTES, "what is signed of the longest token");

static void write_claims(struct cbor *out, const struct rd *rd, const uint8_t *challenge)
{
	struct bytes key = attest_public_key();
	size_t hash = measure_bytes(rd);
	unsigned int i;

	cbor_map(out, CLAIMS);
	cbor_uint(out, CLAIM_CHALLENGE);
	cbor_bytes(out, challenge, TOKEN_CHALLENGE_BYTES);
	cbor_uint(out, CLAIM_PROFILE);
	cbor_text(out, PROFILE);
	cbor_uint(out, CLAIM_PERSONALIZATION);
	cbor_bytes(out, rd->rpv, sizeof(rd->rpv));
	cbor_uint(out, CLAIM_HASH);
	cbor_text(out, measure_name(rd));
	cbor_uint(out, CLAIM_KEY);
	cbor_bytes(out, key.at, key.count);
	cbor_uint(out, CLAIM_RIM);
	cbor_bytes(out, rd->measurement[0], hash);
	cbor_uint(out, CLAIM_REMS);
	cbor_array(out, MEASUREMENTS - 1);
	for (i = 1; i < MEASUREMENTS; i++)
		cbor_bytes(out, rd->measurement[i], hash);
	cbor_uint(out, CLAIM_KEY_HASH);
	cbor_text(out, "sha-256");
}

/* Everything but the signature's bytes. */
static void write_unsigned(struct token *token, const struct rd *rd, const uint8_t *challenge)
{
	uint8_t claims[TOKEN_REALM_BYTES];
	struct cbor inner = { claims, 0, sizeof(claims) };
	struct cbor out = { token->realm, 0, sizeof(token->realm) - ATTEST_SIGNATURE_BYTES };

	write_claims(&inner, rd, challenge);
	cbor_tag(&out, TAG_SIGN1);
	cbor_array(&out, 4);
	cbor_bytes(&out, protected_header, sizeof(protected_header));
	cbor_map(&out, 0);
	cbor_bytes(&out, claims, inner.count);
	cbor_bytes_head(&out, ATTEST_SIGNATURE_BYTES);
	token->realm_bytes = (uint16_t)(out.count + ATTEST_SIGNATURE_BYTES);
}

/* ---- The collection of the two tokens ------------------------------------------------------------------------- */

/* What stands around them, and all of it in its order. */
struct collection {
	uint8_t before[FRAME_BYTES], between[FRAME_BYTES];
	struct bytes pieces[PIECES];
};

static void write_label(struct cbor *out, uint64_t label, size_t count)
{
	cbor_uint(out, label);
	if (TOKEN_WRAPPER == RECORDS_WRAPPER) {
		cbor_array(out, 2);
		cbor_uint(out, RECORD_TYPE);
	}
	cbor_bytes_head(out, count);
}

static void collect(const struct token *token, struct collection *all)
{
	struct cbor before = { all->before, 0, FRAME_BYTES }, between = { all->between, 0, FRAME_BYTES };
	struct bytes platform = attest_platform_token();

	cbor_tag(&before, TOKEN_WRAPPER);
	cbor_map(&before, 2);
	write_label(&before, LABEL_PLATFORM, platform.count);
	write_label(&between, LABEL_REALM, token->realm_bytes);
	all->pieces[0] = (struct bytes){ all->before, before.count };
	all->pieces[1] = platform;
	all->pieces[2] = (struct bytes){ all->between, between.count };
	all->pieces[3] = (struct bytes){ token->realm, token->realm_bytes };
}

size_t token_begin(struct token *token, const struct realm *realm, const uint8_t challenge[TOKEN_CHALLENGE_BYTES])
{
	struct collection all;
	unsigned int i;

	token_end(token);
	token->state = TOKEN_UNSIGNED;
	if (!attest_ready())
		return 0;
	write_unsigned(token, realm->rd, challenge);
	collect(token, &all);
	for (i = 0; i < PIECES; i++)
		token->left += (uint16_t)all.pieces[i].count;
	return token->left;
}

size_t token_read(struct token *token, void *to, size_t most)
{
	struct collection all;
	size_t skip = token->read, done = 0;
	unsigned int i;

	collect(token, &all);
	for (i = 0; i < PIECES; i++) {
		size_t count = all.pieces[i].count - skip;

		if (all.pieces[i].count <= skip) {
			skip -= all.pieces[i].count;
			continue;
		}
		count = count < most - done ? count : most - done;
		memcpy((uint8_t *)to + done, all.pieces[i].at + skip, count);
		done += count;
		skip = 0;
	}
	token->read += (uint16_t)done;
	token->left -= (uint16_t)done;
	if (token->left == 0)
		token_end(token);
	return done;
}

void token_end(struct token *token)
{
	if (token->state == TOKEN_UNSIGNED)
		signer_forget(token);
	token->state = TOKEN_NONE;
	token->read = 0;
	token->left = 0;
}

/* ---- Its signature --------------------------------------------------------------------------------------------- */

/* Sig_structure (RFC 9052, 4.4). */
static size_t write_signed(const struct token *token, uint8_t *message)
{
	struct cbor out = { message, 0, SIGNER_MESSAGE_BYTES };

	cbor_array(&out, 4);
	cbor_text(&out, "Signature1");
	cbor_bytes(&out, protected_header, sizeof(protected_header));
	cbor_bytes(&out, "", 0);
	cbor_raw(&out, token->realm + PAYLOAD_OFFSET, token->realm_bytes - PAYLOAD_OFFSET - PAYLOAD_END);
	return out.count;
}

enum signing token_sign(struct token *token)
{
	uint8_t message[SIGNER_MESSAGE_BYTES];
	enum signing result;

	if (token->state == TOKEN_SIGNED)
		return SIGNING_DONE;
	if (!attest_ready())
		return SIGNING_FAILED;
	result = signer_sign(token, message, write_signed(token, message),
			     token->realm + token->realm_bytes - ATTEST_SIGNATURE_BYTES);
	if (result == SIGNING_DONE)
		token->state = TOKEN_SIGNED;
	return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "attest.h"

#include "arch.h"
#include "cbor.h"
#include "es384.h"
#include "sha256.h"

/* COSE_Key (RFC 9052, 7; RFC 9053, 7.1): labels and values. */
#define KEY_TYPE  1
#define KEY_EC2   2
#define KEY_CURVE 0 /* -1 */
#define KEY_P384  2
#define KEY_X     1 /* -2 */
#define KEY_Y     2 /* -3 */

static struct {
	bool ready;
	uint8_t private_key[ATTEST_SCALAR_BYTES];
	uint8_t public_key[ATTEST_PUBLIC_BYTES];
	uint8_t platform_token[GRANULE_SIZE];
	size_t platform_bytes;
} identity;

/* The platform's token holds the hash of exactly these bytes, so neither the order nor the number of pairs is free. */
static void write_public_key(const uint8_t point[2 * ATTEST_SCALAR_BYTES])
{
	struct cbor key = { identity.public_key, 0, sizeof(identity.public_key) };

	cbor_map(&key, 4);
	cbor_uint(&key, KEY_TYPE);
	cbor_uint(&key, KEY_EC2);
	cbor_negative(&key, KEY_CURVE);
	cbor_uint(&key, KEY_P384);
	cbor_negative(&key, KEY_X);
	cbor_bytes(&key, point, ATTEST_SCALAR_BYTES);
	cbor_negative(&key, KEY_Y);
	cbor_bytes(&key, point + ATTEST_SCALAR_BYTES, ATTEST_SCALAR_BYTES);
	if (key.count != sizeof(identity.public_key))
		panic("attest: the public key has another size");
}

const char *attest_init(void)
{
	uint8_t point[2 * ATTEST_SCALAR_BYTES], digest[SHA256_BYTES];

	if (!arch_attest_key(identity.private_key))
		return "EL3 gives no attestation key";
	if (!arch_public_key(identity.private_key, point))
		return "EL3's attestation key is none of P-384";
	write_public_key(point);
	sha256(identity.public_key, sizeof(identity.public_key), digest);
	identity.platform_bytes = arch_platform_token(digest, identity.platform_token);
	if (identity.platform_bytes == 0)
		return "EL3 gives no platform token";
	identity.ready = true;
	return NULL;
}

bool attest_ready(void)
{
	return identity.ready;
}

const uint8_t *attest_private_key(void)
{
	return identity.private_key;
}

struct bytes attest_public_key(void)
{
	return (struct bytes){ identity.public_key, sizeof(identity.public_key) };
}

struct bytes attest_platform_token(void)
{
	return (struct bytes){ identity.platform_token, identity.platform_bytes };
}

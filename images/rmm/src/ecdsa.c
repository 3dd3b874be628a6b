/* SPDX-License-Identifier: Apache-2.0 */
#include "ecdsa.h"

#include <mbedtls/ecdsa.h>
#include <mbedtls/hmac_drbg.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha512.h>

#define DIGEST_BYTES 48U

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

/* The library's way to forget: not to be left out because nobody reads what is cleared. */
void mbedtls_platform_zeroize(void *buffer, size_t bytes)
{
	memset(buffer, 0, bytes);
	__asm__ volatile("" ::"r"(buffer) : "memory");
}

/* What the library works with. All of it is on this stack and this signature's heap. */
struct curve {
	mbedtls_ecp_group group;
	mbedtls_hmac_drbg_context blinding;
	mbedtls_mpi d, r, s;
	mbedtls_ecp_point q;
};

static bool open_curve(struct curve *curve, const uint8_t *key, const uint8_t digest[DIGEST_BYTES])
{
	uint8_t seed[ATTEST_SCALAR_BYTES + DIGEST_BYTES];
	int error;

	mbedtls_ecp_group_init(&curve->group);
	mbedtls_hmac_drbg_init(&curve->blinding);
	mbedtls_mpi_init(&curve->d);
	mbedtls_mpi_init(&curve->r);
	mbedtls_mpi_init(&curve->s);
	mbedtls_ecp_point_init(&curve->q);
	/* Blinding hides the key from who can watch time or power; it needs numbers that cannot be foretold without the key. */
	memcpy(seed, key, ATTEST_SCALAR_BYTES);
	memcpy(seed + ATTEST_SCALAR_BYTES, digest, DIGEST_BYTES);
	error = mbedtls_ecp_group_load(&curve->group, MBEDTLS_ECP_DP_SECP384R1);
	if (error == 0)
		error = mbedtls_mpi_read_binary(&curve->d, key, ATTEST_SCALAR_BYTES);
	if (error == 0)
		error = mbedtls_ecp_check_privkey(&curve->group, &curve->d);
	if (error == 0)
		error = mbedtls_hmac_drbg_seed_buf(&curve->blinding, mbedtls_md_info_from_type(MBEDTLS_MD_SHA384), seed,
						   sizeof(seed));
	mbedtls_platform_zeroize(seed, sizeof(seed));
	return error == 0;
}

static void close_curve(struct curve *curve)
{
	mbedtls_ecp_group_free(&curve->group);
	mbedtls_hmac_drbg_free(&curve->blinding);
	mbedtls_mpi_free(&curve->d);
	mbedtls_mpi_free(&curve->r);
	mbedtls_mpi_free(&curve->s);
	mbedtls_ecp_point_free(&curve->q);
}

bool ecdsa_sign(const uint8_t key[ATTEST_SCALAR_BYTES], const uint8_t *message, size_t bytes,
		uint8_t signature[ATTEST_SIGNATURE_BYTES])
{
	uint8_t digest[DIGEST_BYTES];
	struct curve curve;
	bool good = mbedtls_sha512(message, bytes, digest, 1) == 0;

	good = open_curve(&curve, key, digest) && good &&
	       mbedtls_ecdsa_sign_det_ext(&curve.group, &curve.r, &curve.s, &curve.d, digest, sizeof(digest),
					  MBEDTLS_MD_SHA384, mbedtls_hmac_drbg_random, &curve.blinding) == 0 &&
	       mbedtls_mpi_write_binary(&curve.r, signature, ATTEST_SCALAR_BYTES) == 0 &&
	       mbedtls_mpi_write_binary(&curve.s, signature + ATTEST_SCALAR_BYTES, ATTEST_SCALAR_BYTES) == 0;
	close_curve(&curve);
	return good;
}

bool ecdsa_public_key(const uint8_t key[ATTEST_SCALAR_BYTES], uint8_t point[2 * ATTEST_SCALAR_BYTES])
{
	static const uint8_t no_message[DIGEST_BYTES];
	uint8_t encoded[1 + 2 * ATTEST_SCALAR_BYTES];
	struct curve curve;
	size_t bytes;
	bool good;

	good = open_curve(&curve, key, no_message) &&
	       mbedtls_ecp_mul(&curve.group, &curve.q, &curve.d, &curve.group.G, mbedtls_hmac_drbg_random,
			       &curve.blinding) == 0 &&
	       mbedtls_ecp_point_write_binary(&curve.group, &curve.q, MBEDTLS_ECP_PF_UNCOMPRESSED, &bytes, encoded,
					      sizeof(encoded)) == 0;
	if (good)
		memcpy(point, encoded + 1, 2 * ATTEST_SCALAR_BYTES);
	close_curve(&curve);
	return good;
}

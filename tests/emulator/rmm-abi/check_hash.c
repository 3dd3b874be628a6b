/* SPDX-License-Identifier: Apache-2.0 */
/* A7.1: a realm that is measured with SHA-512. The test that started this machine judges what it reads. */
#include "checks.h"

#include "console.h"
#include "token.h"

#define SEED UINT64_C(0x512)

static struct realm wide = { .name = 'C', .hash_algo = HASH_SHA_512 };

static bool made;

static void print_measurement(const char *what)
{
	print_text(what);
	print_bytes(&run_page(&wide)->exit.gprs[2], 64);
	print_text("\n");
}

static void make(void)
{
	if ((features() & FEATURE_SHA_512) == 0) {
		skip_check("no SHA-512");
		return;
	}
	EXPECT(realm_create(&wide, S2SZ, 1, 1, 14), RMI_SUCCESS);
	EXPECT(realm_image_load(&wide), RMI_SUCCESS);
	EXPECT(realm_rec(&wide, 0, REC_RUNNABLE), RMI_SUCCESS);
	EXPECT(rmi(RMI_REALM_ACTIVATE, wide.rd).status, RMI_SUCCESS);
	page_fill(wide.run, 0);
	EXPECT(enter(&wide, 0), RMI_SUCCESS);
	made = EXPECT(run_page(&wide)->exit.imm, OP_HELLO);
}

static void configured(void)
{
	if (!made) {
		skip_check("no realm");
		return;
	}
	EXPECT_TRUE(answered(&wide, 0, OP_SMC, RSI_REALM_CONFIG, UNMEASURED_IPA));
	EXPECT_TRUE(answered(&wide, 0, OP_LOAD, UNMEASURED_IPA + 8, LOAD_X));
	EXPECT(exit_gpr(&wide, 1), HASH_SHA_512);
}

static void measured(void)
{
	static struct token token;

	if (!made) {
		skip_check("no realm");
		return;
	}
	EXPECT_TRUE(answered(&wide, 0, OP_SMC, RSI_MEASUREMENT_READ, 0));
	print_measurement("# rim C is ");
	EXPECT_TRUE(answered(&wide, 0, OP_SMC, RSI_MEASUREMENT_EXTEND, 1, 8, SEED));
	print_text("# rem C extend 1 8 ");
	print_bytes(&(const uint64_t){ SEED }, 8);
	print_text("\n");
	EXPECT_TRUE(answered(&wide, 0, OP_SMC, RSI_MEASUREMENT_READ, 1));
	print_measurement("# rem C is 1 ");
	EXPECT_TRUE(token_get(&wide, 0, &token, SEED));
	token_print("C", SEED, &token);
}

static void gone(void)
{
	if (!made) {
		skip_check("no realm");
		return;
	}
	EXPECT(realm_destroy(&wide), RMI_SUCCESS);
}

const struct check checks_hash[] = {
	CHECK(make, "SHA-512: a realm is made and runs"),
	CHECK(configured, "SHA-512: the realm is told"),
	CHECK(measured, "SHA-512: measurements are read and extended, and in a token"),
	CHECK(gone, "SHA-512: the realm goes"),
	CHECKS_END,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* B5.3: RSI commands that need no host. */
#include "checks.h"

#include "console.h"

/* Result registers of the realm's SMC. */
#define X(n) exit_gpr(&lab, 1 + (n))

static void version(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_VERSION, ABI_1_0));
	EXPECT(X(0), RSI_SUCCESS);
	EXPECT(X(1), ABI_1_0);
	EXPECT_TRUE(X(2) >= ABI_1_0);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_VERSION, 0x7fff0000));
	EXPECT(X(0), RSI_ERROR_INPUT);
	EXPECT_TRUE(X(1) <= X(2));
}

static void feature_registers(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_FEATURES, 0));
	EXPECT(X(0), RSI_SUCCESS);
	EXPECT(X(1), 0);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_FEATURES, 99));
	EXPECT(X(0), RSI_SUCCESS);
	EXPECT(X(1), 0);
}

static void unknown_numbers(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, 0xC40001BFU));
	EXPECT(X(0), NOT_SUPPORTED);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RMI_VERSION, ABI_1_0));
	EXPECT(X(0), NOT_SUPPORTED);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RMI_GRANULE_DELEGATE, POOL_BASE));
	EXPECT(X(0), NOT_SUPPORTED);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, 0x8400ffffU));
	EXPECT(X(0), NOT_SUPPORTED);
}

/* B1.2: of x1 to x3; what is behind them is kept (SMC Calling Convention 1.2, 2.6). */
static void results_unlisted(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_VERSION, ABI_1_0, JUNK, JUNK, JUNK, JUNK));
	EXPECT(X(3), 0);
	EXPECT(X(4), JUNK);
	EXPECT(X(5), JUNK);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_FEATURES, 0, JUNK, JUNK, JUNK));
	EXPECT(X(2), 0);
	EXPECT(X(3), 0);
	EXPECT(X(4), JUNK);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_REALM_CONFIG, UNMEASURED_IPA + 8, JUNK, JUNK, JUNK));
	EXPECT(X(0), RSI_ERROR_INPUT);
	EXPECT(X(1), 0);
	EXPECT(X(2), 0);
	EXPECT(X(3), 0);
	EXPECT(X(4), JUNK);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_IPA_STATE_GET, IMAGE_BASE, IMAGE_TOP, JUNK, JUNK));
	EXPECT(X(3), 0);
	EXPECT(X(4), JUNK);
}

static void config(void)
{
	unsigned int i;

	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_REALM_CONFIG, UNMEASURED_IPA));
	EXPECT(X(0), RSI_SUCCESS);
	EXPECT_TRUE(answered(&lab, 0, OP_LOAD, UNMEASURED_IPA, LOAD_X));
	EXPECT(exit_gpr(&lab, 1), S2SZ);
	EXPECT_TRUE(answered(&lab, 0, OP_LOAD, UNMEASURED_IPA + 8, LOAD_X));
	EXPECT(exit_gpr(&lab, 1) & 0xff, 0);
	for (i = 0; i < 64; i += 9) {
		EXPECT_TRUE(answered(&lab, 0, OP_LOAD, UNMEASURED_IPA + 0x200 + i, LOAD_B));
		EXPECT(exit_gpr(&lab, 1), 0xc0 + i);
	}
	EXPECT_TRUE(answered(&lab, 0, OP_LOAD, UNMEASURED_IPA + PAGE - 8, LOAD_X));
	EXPECT(exit_gpr(&lab, 1), 0);
}

static void config_refused(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_REALM_CONFIG, UNMEASURED_IPA + 8));
	EXPECT(X(0), RSI_ERROR_INPUT);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_REALM_CONFIG, SHARED_BASE));
	EXPECT(X(0), RSI_ERROR_INPUT);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_REALM_CONFIG, 2 * PROTECTED));
	EXPECT(X(0), RSI_ERROR_INPUT);
}

/* REALM_CONFIG into memory that is not there ends the run as a store would; then it is repeated. */
static void config_faults(void)
{
	uint64_t ipa = LATER_BASE + BLOCK;

	EXPECT(ask(&lab, 0, OP_SMC, RSI_REALM_CONFIG, ipa), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_SYNC);
	EXPECT(ESR_EC(run_page(&lab)->exit.esr), EC_DATA_LOWER);
	EXPECT(run_page(&lab)->exit.hpfar, ipa >> 12 << 4);
	EXPECT(realm_unknown(&lab, ipa), RMI_SUCCESS);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_HOST_CALL);
	EXPECT(X(0), RSI_SUCCESS);
	EXPECT_TRUE(answered(&lab, 0, OP_LOAD, ipa, LOAD_X));
	EXPECT(exit_gpr(&lab, 1), S2SZ);
}

static void ripas_get(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_IPA_STATE_GET, IMAGE_BASE, IMAGE_TOP));
	EXPECT(X(0), RSI_SUCCESS);
	EXPECT(X(2), RIPAS_RAM);
	EXPECT_TRUE(X(1) > IMAGE_BASE && X(1) <= IMAGE_TOP);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_IPA_STATE_GET, IMAGE_TOP - PAGE, IMAGE_TOP + GIB / 2));
	EXPECT(X(0), RSI_SUCCESS);
	EXPECT(X(2), RIPAS_RAM);
	EXPECT(X(1), IMAGE_TOP);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_IPA_STATE_GET, SPARE_BASE, SPARE_BASE + PAGE));
	EXPECT(X(2), RIPAS_EMPTY);
	EXPECT(X(1), SPARE_BASE + PAGE);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_IPA_STATE_GET, LATER_BASE + 5 * PAGE, LATER_TOP));
	EXPECT(X(2), RIPAS_RAM);
	EXPECT_TRUE(X(1) > LATER_BASE + 5 * PAGE && X(1) <= LATER_TOP);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_IPA_STATE_GET, UINT64_C(0x80000000), PROTECTED));
	EXPECT(X(2), RIPAS_DESTROYED);
	EXPECT_TRUE(X(1) > UINT64_C(0x80000000) && X(1) <= UINT64_C(0x80000000) + GIB);
}

static void ripas_get_refused(void)
{
	static const uint64_t ranges[][2] = {
		{ IMAGE_BASE + 8, IMAGE_TOP }, { IMAGE_BASE, IMAGE_TOP - 8 }, { IMAGE_TOP, IMAGE_BASE },
		{ IMAGE_BASE, IMAGE_BASE }, { ALIAS, ALIAS + PAGE }, { IMAGE_BASE, PROTECTED + PAGE },
		{ 2 * PROTECTED, 3 * PROTECTED },
	};
	unsigned int i;

	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_IPA_STATE_GET, ranges[i][0], ranges[i][1]));
		EXPECT(X(0), RSI_ERROR_INPUT);
	}
}

/* The value itself is judged by the test that started this machine: it computes the RIM from the `# rim` lines. */
static void rim(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_MEASUREMENT_READ, 0));
	EXPECT(X(0), RSI_SUCCESS);
	print_text("# rim A is ");
	print_bytes(&run_page(&lab)->exit.gprs[2], 64);
	print_text("\n");
	EXPECT(X(5), 0);
	EXPECT(X(8), 0);
}

static void other_measurements(void)
{
	uint64_t index;
	unsigned int i;

	for (index = 1; index <= 4; index++) {
		EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_MEASUREMENT_READ, index));
		EXPECT(X(0), RSI_SUCCESS);
		for (i = 1; i <= 8; i++)
			EXPECT(X(i), 0);
	}
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_MEASUREMENT_READ, 5));
	EXPECT(X(0), RSI_ERROR_INPUT);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_MEASUREMENT_READ, ~UINT64_C(0)));
	EXPECT(X(0), RSI_ERROR_INPUT);
}

const struct check checks_rsi[] = {
	CHECK(version, "RSI_VERSION: 1.0 is spoken"),
	CHECK(feature_registers, "RSI_FEATURES: all registers are zero"),
	CHECK(unknown_numbers, "RSI: unknown numbers, and the host's, are not supported"),
	CHECK(results_unlisted, "RSI: x1 to x3 are zero where they are no result, x4 and up are kept"),
	CHECK(config, "RSI_REALM_CONFIG: width, hash and personalization value"),
	CHECK(config_refused, "RSI_REALM_CONFIG: wrong addresses are refused"),
	CHECK(config_faults, "RSI_REALM_CONFIG: memory that is absent is asked for, then it succeeds"),
	CHECK(ripas_get, "RSI_IPA_STATE_GET: state and its end"),
	CHECK(ripas_get_refused, "RSI_IPA_STATE_GET: wrong ranges are refused"),
	CHECK(rim, "RSI_MEASUREMENT_READ: the initial measurement"),
	CHECK(other_measurements, "RSI_MEASUREMENT_READ: the others are zero, and there are four"),
	CHECKS_END,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* B2, B4.3: VERSION, FEATURES, and numbers without a meaning. */
#include "checks.h"

static void version(void)
{
	struct rmi_result result = rmi(RMI_VERSION, ABI_1_0);

	EXPECT(result.status, RMI_SUCCESS);
	EXPECT(result.out[0], ABI_1_0);
	EXPECT_TRUE(result.out[1] >= ABI_1_0);
}

static void version_refused(void)
{
	static const uint64_t versions[] = { 0, 0x0ffff, 0x7fff0000 };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		struct rmi_result result = rmi(RMI_VERSION, versions[i]);

		EXPECT(result.status, RMI_ERROR_INPUT);
		EXPECT_TRUE(result.out[0] <= result.out[1]);
	}
}

static void feature_register(void)
{
	struct rmi_result result = rmi(RMI_FEATURES, 0);
	uint64_t value = result.out[0];

	EXPECT(result.status, RMI_SUCCESS);
	EXPECT_TRUE(FEATURE_S2SZ(value) >= S2SZ && FEATURE_S2SZ(value) <= 52);
	EXPECT_TRUE((value & FEATURE_SHA_256) != 0);
	EXPECT_TRUE(FEATURE_LRS(value) >= 1);
	EXPECT(value >> 42, 0);
	EXPECT(rmi(RMI_FEATURES, 0).out[0], value);
}

static void other_feature_registers(void)
{
	static const uint64_t numbers[] = { 1, 2, 1000, ~UINT64_C(0) };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		struct rmi_result result = rmi(RMI_FEATURES, numbers[i]);

		EXPECT(result.status, RMI_SUCCESS);
		EXPECT(result.out[0], 0);
	}
}

static void unused_numbers(void)
{
	EXPECT(rmi(0xC4000156U).status, NOT_SUPPORTED);
	EXPECT(rmi(0xC4000160U).status, NOT_SUPPORTED);
	EXPECT(rmi(0xC4000163U).status, NOT_SUPPORTED);
}

static void realm_commands(void)
{
	EXPECT(rmi(RSI_VERSION, ABI_1_0).status, NOT_SUPPORTED);
	EXPECT(rmi(RSI_HOST_CALL, POOL_BASE).status, NOT_SUPPORTED);
}

static void sve_hint(void)
{
	EXPECT(rmi(RMI_VERSION | BIT(16), ABI_1_0).status, RMI_SUCCESS);
}

static void registers_kept(void)
{
	uint64_t registers[18];
	unsigned int i;

	for (i = 0; i < 18; i++)
		registers[i] = START_GPR(i);
	registers[0] = RMI_VERSION;
	registers[1] = ABI_1_0;
	host_smc(registers);
	EXPECT(registers[0], RMI_SUCCESS);
	for (i = 5; i < 18; i++)
		EXPECT(registers[i], START_GPR(i));
}

/* SMC Calling Convention 1.2, 2.6: x4 is kept where it is no result. Others without a meaning are zero (B1.2). */
static void results_unlisted(void)
{
	static const uint64_t calls[][2] = {
		{ RMI_VERSION, ABI_1_0 }, { RMI_VERSION, 0 }, { RMI_FEATURES, 0 }, { RMI_GRANULE_DELEGATE, 8 },
		{ RMI_REALM_DESTROY, 8 }, { RMI_REC_ENTER, 8 }, { RMI_DATA_DESTROY, 8 }, { RMI_RTT_UNMAP_UNPROTECTED, 8 },
		{ 0xC4000160U, 8 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct rmi_result result = rmi((uint32_t)calls[i][0], calls[i][1], JUNK, JUNK, JUNK);

		EXPECT(result.out[3], JUNK);
		EXPECT(result.out[2], 0);
	}
	EXPECT(rmi(RMI_RTT_READ_ENTRY, 8, JUNK, JUNK, JUNK).out[3], 0);
}

const struct check checks_version[] = {
	CHECK(version, "VERSION: 1.0 is spoken"),
	CHECK(version_refused, "VERSION: others are refused, and what is spoken is told"),
	CHECK(feature_register, "FEATURES: register 0 is consistent"),
	CHECK(other_feature_registers, "FEATURES: other registers are zero"),
	CHECK(unused_numbers, "RMI: unused numbers are not supported"),
	CHECK(realm_commands, "RSI: not for the host"),
	CHECK(sve_hint, "RMI: the SVE hint in the number is ignored"),
	CHECK(results_unlisted, "RMI: x4 is kept but by RTT_READ_ENTRY, other registers without a result are zero"),
	CHECK(registers_kept, "RMI: x5 to x17 are kept"),
	CHECKS_END,
};

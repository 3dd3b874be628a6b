/* SPDX-License-Identifier: Apache-2.0 */
/* A2.2, B4.3: GRANULE_DELEGATE, GRANULE_UNDELEGATE. */
#include "checks.h"

#define MARK UINT64_C(0x5ec2e75ec2e75ec2)

static void there_and_back(void)
{
	uint64_t pa = page_normal();

	EXPECT(rmi(RMI_GRANULE_DELEGATE, pa).status, RMI_SUCCESS);
	EXPECT(rmi(RMI_GRANULE_UNDELEGATE, pa).status, RMI_SUCCESS);
	EXPECT_TRUE(page_release(pa));
}

static void twice(void)
{
	uint64_t pa = page_normal();

	EXPECT(rmi(RMI_GRANULE_UNDELEGATE, pa).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_GRANULE_DELEGATE, pa).status, RMI_SUCCESS);
	EXPECT(rmi(RMI_GRANULE_DELEGATE, pa).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_GRANULE_UNDELEGATE, pa).status, RMI_SUCCESS);
	EXPECT(rmi(RMI_GRANULE_UNDELEGATE, pa).status, RMI_ERROR_INPUT);
	EXPECT_TRUE(page_release(pa));
}

static void unaligned(void)
{
	static const uint64_t offsets[] = { 1, 8, 0x800, 0xfff };
	uint64_t ns = page_normal(), mine = page_delegated();
	unsigned int i;

	for (i = 0; i < 4; i++) {
		EXPECT(rmi(RMI_GRANULE_DELEGATE, ns + offsets[i]).status, RMI_ERROR_INPUT);
		EXPECT(rmi(RMI_GRANULE_UNDELEGATE, mine + offsets[i]).status, RMI_ERROR_INPUT);
	}
	EXPECT_TRUE(page_release(ns));
	EXPECT_TRUE(page_release(mine));
}

static void outside(void)
{
	/* Flash, interrupt controller, UART, Root SRAM, the RMM's own memory (first page and middle), behind the granule
	 * protection table, and addresses that no machine has. */
	static const uint64_t places[] = { 0, 0x08000000, 0x09000000, 0x0e001000, 0x40100000, 0x40800000,
					   BIT(32), BIT(40), BIT(48), BIT(52), BIT(63), ~(PAGE - 1) };
	unsigned int i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		EXPECT(rmi(RMI_GRANULE_DELEGATE, places[i]).status, RMI_ERROR_INPUT);
		EXPECT(rmi(RMI_GRANULE_UNDELEGATE, places[i]).status, RMI_ERROR_INPUT);
	}
}

static void wiped(void)
{
	uint64_t pa = page_normal();

	page_number(pa, MARK);
	EXPECT(rmi(RMI_GRANULE_DELEGATE, pa).status, RMI_SUCCESS);
	EXPECT(rmi(RMI_GRANULE_UNDELEGATE, pa).status, RMI_SUCCESS);
	EXPECT_TRUE(page_is_zero(pa));
	EXPECT_TRUE(page_release(pa));
}

static void read_faults(void)
{
	uint64_t pa = page_normal();

	page_fill(pa, MARK);
	EXPECT(probe_read(pa, 1), MARK);
	EXPECT(probe_esr, 0);
	EXPECT(rmi(RMI_GRANULE_DELEGATE, pa).status, RMI_SUCCESS);
	EXPECT(probe_read(pa + 8, 1), 1);
	EXPECT(ESR_EC(probe_esr), EC_DATA_SAME);
	EXPECT(ESR_FSC(probe_esr), FSC_GPF);
	EXPECT(probe_far, pa + 8);
	EXPECT(rmi(RMI_GRANULE_UNDELEGATE, pa).status, RMI_SUCCESS);
	EXPECT(probe_read(pa, 1), 0);
	EXPECT(probe_esr, 0);
	EXPECT_TRUE(page_release(pa));
}

static void write_faults(void)
{
	uint64_t pa = page_normal();

	EXPECT(rmi(RMI_GRANULE_DELEGATE, pa).status, RMI_SUCCESS);
	(void)probe_write(pa, MARK);
	EXPECT(ESR_EC(probe_esr), EC_DATA_SAME);
	EXPECT(ESR_FSC(probe_esr), FSC_GPF);
	EXPECT_TRUE((probe_esr & ESR_WNR) != 0);
	EXPECT(rmi(RMI_GRANULE_UNDELEGATE, pa).status, RMI_SUCCESS);
	EXPECT_TRUE(page_is_zero(pa));
	EXPECT_TRUE(page_release(pa));
}

static void monitor_hidden(void)
{
	EXPECT(probe_read(0x40100000, 1), 1);
	EXPECT(ESR_FSC(probe_esr), FSC_GPF);
	EXPECT(probe_read(0x418ff000, 1), 1);
	EXPECT(ESR_FSC(probe_esr), FSC_GPF);
}

static void many(void)
{
	uint64_t pages[64];
	unsigned int i;

	for (i = 0; i < 64; i++) {
		pages[i] = page_delegated();
		EXPECT_NOT(pages[i], 0);
	}
	/* 29 is coprime to 64: every page once, in another order. */
	for (i = 0; i < 64; i++)
		EXPECT_TRUE(page_release(pages[i * 29 % 64]));
}

static void neighbours(void)
{
	uint64_t pa = pages_delegated(3, 4);

	EXPECT(rmi(RMI_GRANULE_UNDELEGATE, pa + PAGE).status, RMI_SUCCESS);
	EXPECT(probe_read(pa + PAGE - 8, 1), 1);
	EXPECT(probe_read(pa + PAGE, 1), 0);
	EXPECT(probe_read(pa + 2 * PAGE - 8, 1), 0);
	EXPECT(probe_read(pa + 2 * PAGE, 1), 1);
	EXPECT(rmi(RMI_GRANULE_DELEGATE, pa + PAGE).status, RMI_SUCCESS);
	EXPECT_TRUE(page_release(pa));
	EXPECT_TRUE(page_release(pa + PAGE));
	EXPECT_TRUE(page_release(pa + 2 * PAGE));
}

const struct check checks_granule[] = {
	CHECK(there_and_back, "GRANULE: delegated and back"),
	CHECK(twice, "GRANULE: each way only once"),
	CHECK(unaligned, "GRANULE: unaligned addresses are refused"),
	CHECK(outside, "GRANULE: addresses that cannot be delegated are refused"),
	CHECK(wiped, "GRANULE: nothing of the old contents comes back"),
	CHECK(read_faults, "GRANULE: a read of a delegated granule faults and yields nothing"),
	CHECK(write_faults, "GRANULE: a write to a delegated granule faults and changes nothing"),
	CHECK(neighbours, "GRANULE: neighbours are not touched"),
	CHECK(monitor_hidden, "GRANULE: the RMM's own memory cannot be read"),
	CHECK(many, "GRANULE: 64 at a time, returned in another order"),
	CHECKS_END,
};

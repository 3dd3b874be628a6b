/* SPDX-License-Identifier: Apache-2.0 */
/* B4.3: RTT_FOLD, and RTT_CREATE as its opposite. On a realm of its own: what cannot be folded does not harm others. */
#include "checks.h"

#define AREA UINT64_C(0x80000000)

static struct realm fold;

static void prepare(void)
{
	EXPECT(realm_create(&fold, S2SZ, 1, 1, 9), RMI_SUCCESS);
	EXPECT(realm_table(&fold, AREA, 2), RMI_SUCCESS);
	EXPECT(realm_table(&fold, AREA, 3), RMI_SUCCESS);
}

static void refused(void)
{
	EXPECT(rmi(RMI_RTT_FOLD, fold.rd, AREA, 1).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_FOLD, fold.rd, AREA, 4).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_FOLD, fold.rd, AREA + PAGE, 3).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_FOLD, fold.rd, 2 * PROTECTED, 3).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_FOLD, fold.root, AREA, 3).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_FOLD, fold.rd, AREA + BLOCK, 3).status, RMI_ERROR_RTT(2));
}

/* Fold, and what the table's granule is now. */
static void expect_folded(uint64_t ipa)
{
	struct rmi_result result = rmi(RMI_RTT_FOLD, fold.rd, ipa, 3);

	EXPECT(result.status, RMI_SUCCESS);
	if (result.status == RMI_SUCCESS) {
		EXPECT(result.out[0], fold.table[fold.tables - 1].pa);
		EXPECT_TRUE(realm_forget_table(&fold, ipa, 3));
	}
}

static void empty(void)
{
	expect_folded(AREA);
	EXPECT_ENTRY(&fold, AREA, 3, 2, STATE_UNASSIGNED, 0, RIPAS_EMPTY);
	if (fold.tables == 1)
		EXPECT(realm_table(&fold, AREA, 3), RMI_SUCCESS);
}

static void mixed(void)
{
	EXPECT(realm_ram(&fold, AREA, AREA + PAGE, PAGE), RMI_SUCCESS);
	EXPECT(rmi(RMI_RTT_FOLD, fold.rd, AREA, 3).status, RMI_ERROR_RTT(3));
	EXPECT(realm_unknown(&fold, AREA + PAGE), RMI_SUCCESS);
	EXPECT(rmi(RMI_RTT_FOLD, fold.rd, AREA, 3).status, RMI_ERROR_RTT(3));
	EXPECT(rmi(RMI_DATA_DESTROY, fold.rd, AREA + PAGE).status, RMI_SUCCESS);
	EXPECT_TRUE(realm_forget_page(&fold, AREA + PAGE));
}

static void ram(void)
{
	EXPECT(realm_ram(&fold, AREA + PAGE, AREA + BLOCK, PAGE), RMI_SUCCESS);
	expect_folded(AREA);
	EXPECT_ENTRY(&fold, AREA, 3, 2, STATE_UNASSIGNED, 0, RIPAS_RAM);
	if (fold.tables == 1)
		EXPECT(realm_table(&fold, AREA, 3), RMI_SUCCESS);
}

/* A block of 512 pages in a row becomes one entry, and pages again. */
static void assigned(void)
{
	uint64_t memory = pages_delegated(512, 512), i;
	struct rmi_result result;

	for (i = 0; i < 512; i++)
		EXPECT(rmi(RMI_DATA_CREATE_UNKNOWN, fold.rd, memory + i * PAGE, AREA + i * PAGE).status, RMI_SUCCESS);
	expect_folded(AREA);
	EXPECT_ENTRY(&fold, AREA, 3, 2, STATE_ASSIGNED, memory, RIPAS_RAM);
	result = rmi(RMI_DATA_DESTROY, fold.rd, AREA);
	EXPECT(result.status, RMI_ERROR_RTT(2));
	EXPECT(result.out[1], AREA);
	if (fold.tables == 1)
		EXPECT(realm_table(&fold, AREA, 3), RMI_SUCCESS);
	EXPECT_ENTRY(&fold, AREA + 511 * PAGE, 3, 3, STATE_ASSIGNED, memory + 511 * PAGE, RIPAS_RAM);
	for (i = 0; i < 512; i++) {
		EXPECT(rmi(RMI_DATA_DESTROY, fold.rd, AREA + i * PAGE).status, RMI_SUCCESS);
		EXPECT_TRUE(page_release(memory + i * PAGE));
	}
}

static void gone(void)
{
	EXPECT(realm_destroy(&fold), RMI_SUCCESS);
}

const struct check checks_fold[] = {
	CHECK(prepare, "RTT_FOLD: a realm to fold in"),
	CHECK(refused, "RTT_FOLD: wrong levels and addresses are refused"),
	CHECK(empty, "RTT_FOLD: an empty table becomes one entry"),
	CHECK(mixed, "RTT_FOLD: not a table whose entries differ"),
	CHECK(ram, "RTT_FOLD: RIPAS RAM is kept"),
	CHECK(assigned, "RTT_FOLD: 512 pages become a block, and pages again"),
	CHECK(gone, "RTT_FOLD: the realm goes"),
	CHECKS_END,
};

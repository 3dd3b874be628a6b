/* SPDX-License-Identifier: Apache-2.0 */
/* B4.3: RTT_MAP_UNPROTECTED, RTT_UNMAP_UNPROTECTED. */
#include "checks.h"

/* Attributes of a host's descriptor: normal write-back memory (FWB), readable and writable. */
#define ATTRIBUTES (UINT64_C(6) << 2 | UINT64_C(3) << 6)

static uint64_t map(uint64_t ipa, uint64_t level, uint64_t descriptor)
{
	return rmi(RMI_RTT_MAP_UNPROTECTED, lab.rd, ipa, level, descriptor).status;
}

static void no_table(void)
{
	struct rmi_result result;
	uint64_t page = page_normal();

	EXPECT(map(SHARED_BASE, 3, page | ATTRIBUTES), RMI_ERROR_RTT(1));
	EXPECT(realm_table(&lab, SHARED_BASE, 2), RMI_SUCCESS);
	EXPECT(map(SHARED_BASE, 3, page | ATTRIBUTES), RMI_ERROR_RTT(2));
	result = rmi(RMI_RTT_UNMAP_UNPROTECTED, lab.rd, SHARED_BASE, 3);
	EXPECT(result.status, RMI_ERROR_RTT(2));
	EXPECT(result.out[0], SHARED_BASE + GIB);
	EXPECT(realm_table(&lab, SHARED_BASE, 3), RMI_SUCCESS);
	EXPECT_TRUE(page_release(page));
}

static void map_refused(void)
{
	uint64_t page = page_normal();

	EXPECT(map(IMAGE_TOP, 3, page | ATTRIBUTES), RMI_ERROR_INPUT);
	EXPECT(map(2 * PROTECTED, 3, page | ATTRIBUTES), RMI_ERROR_INPUT);
	EXPECT(map(SHARED_BASE + 8, 3, page | ATTRIBUTES), RMI_ERROR_INPUT);
	EXPECT(map(SHARED_BASE, 4, page | ATTRIBUTES), RMI_ERROR_INPUT);
	EXPECT(map(SHARED_BASE, 0, page | ATTRIBUTES), RMI_ERROR_INPUT);
	EXPECT(map(SHARED_BASE + PAGE, 2, page | ATTRIBUTES), RMI_ERROR_INPUT);
	/* Bits that are the RMM's: valid, shareability, access flag, XN, NS, software. */
	EXPECT(map(SHARED_BASE, 3, page | ATTRIBUTES | 1), RMI_ERROR_INPUT);
	EXPECT(map(SHARED_BASE, 3, page | ATTRIBUTES | BIT(8)), RMI_ERROR_INPUT);
	EXPECT(map(SHARED_BASE, 3, page | ATTRIBUTES | BIT(10)), RMI_ERROR_INPUT);
	EXPECT(map(SHARED_BASE, 3, page | ATTRIBUTES | BIT(54)), RMI_ERROR_INPUT);
	EXPECT(map(SHARED_BASE, 3, page | ATTRIBUTES | BIT(55)), RMI_ERROR_INPUT);
	EXPECT(map(SHARED_BASE, 3, page | ATTRIBUTES | BIT(63)), RMI_ERROR_INPUT);
	EXPECT_ENTRY(&lab, SHARED_BASE, 3, 3, STATE_UNASSIGNED, 0, 0);
	EXPECT_TRUE(page_release(page));
}

static void mapped(void)
{
	uint64_t page = page_normal();
	struct rmi_result result;

	EXPECT(map(SHARED_BASE, 3, page | ATTRIBUTES), RMI_SUCCESS);
	EXPECT_ENTRY(&lab, SHARED_BASE, 3, 3, STATE_ASSIGNED, page | ATTRIBUTES, 0);
	EXPECT(map(SHARED_BASE, 3, page | ATTRIBUTES), RMI_ERROR_RTT(3));
	EXPECT(map(SHARED_BASE + 4 * PAGE, 3, page | ATTRIBUTES), RMI_SUCCESS);
	result = rmi(RMI_RTT_UNMAP_UNPROTECTED, lab.rd, SHARED_BASE, 3);
	EXPECT(result.status, RMI_SUCCESS);
	EXPECT(result.out[0], SHARED_BASE + 4 * PAGE);
	EXPECT_ENTRY(&lab, SHARED_BASE, 3, 3, STATE_UNASSIGNED, 0, 0);
	result = rmi(RMI_RTT_UNMAP_UNPROTECTED, lab.rd, SHARED_BASE, 3);
	EXPECT(result.status, RMI_ERROR_RTT(3));
	EXPECT(result.out[0], SHARED_BASE + 4 * PAGE);
	result = rmi(RMI_RTT_UNMAP_UNPROTECTED, lab.rd, SHARED_BASE + 4 * PAGE, 3);
	EXPECT(result.status, RMI_SUCCESS);
	EXPECT(result.out[0], SHARED_BASE + BLOCK);
	EXPECT_TRUE(page_release(page));
}

static void unmap_refused(void)
{
	EXPECT(rmi(RMI_RTT_UNMAP_UNPROTECTED, lab.rd, IMAGE_BASE, 3).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_UNMAP_UNPROTECTED, lab.rd, SHARED_BASE, 4).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_UNMAP_UNPROTECTED, lab.rd, SHARED_BASE + 8, 3).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_UNMAP_UNPROTECTED, lab.root, SHARED_BASE, 3).status, RMI_ERROR_INPUT);
}

static void block(void)
{
	uint64_t ipa = SHARED_BASE + 2 * BLOCK, pa = POOL_BASE + 4 * BLOCK;
	struct rmi_result result;

	EXPECT(map(ipa, 2, (pa + PAGE) | ATTRIBUTES), RMI_ERROR_INPUT);
	EXPECT(map(ipa, 2, pa | ATTRIBUTES), RMI_SUCCESS);
	EXPECT_ENTRY(&lab, ipa, 3, 2, STATE_ASSIGNED, pa | ATTRIBUTES, 0);
	result = rmi(RMI_RTT_UNMAP_UNPROTECTED, lab.rd, ipa, 3);
	EXPECT(result.status, RMI_ERROR_RTT(2));
	EXPECT(result.out[0], ipa);
	EXPECT(rmi(RMI_RTT_UNMAP_UNPROTECTED, lab.rd, ipa, 2).status, RMI_SUCCESS);
	EXPECT_ENTRY(&lab, ipa, 3, 2, STATE_UNASSIGNED, 0, 0);
}

static void not_live(void)
{
	uint64_t ipa = SHARED_BASE + 3 * BLOCK, page = page_normal();

	EXPECT(realm_table(&lab, ipa, 3), RMI_SUCCESS);
	EXPECT(map(ipa, 3, page | ATTRIBUTES), RMI_SUCCESS);
	EXPECT(rmi(RMI_RTT_DESTROY, lab.rd, ipa, 3).status, RMI_SUCCESS);
	EXPECT_TRUE(realm_forget_table(&lab, ipa, 3));
	EXPECT_ENTRY(&lab, ipa, 3, 2, STATE_UNASSIGNED, 0, 0);
	EXPECT_TRUE(page_release(page));
}

const struct check checks_unprotected[] = {
	CHECK(no_table, "RTT_MAP_UNPROTECTED: without tables the level is told"),
	CHECK(map_refused, "RTT_MAP_UNPROTECTED: wrong addresses, levels and attributes are refused"),
	CHECK(mapped, "RTT_MAP_UNPROTECTED, RTT_UNMAP_UNPROTECTED: there and back, once"),
	CHECK(unmap_refused, "RTT_UNMAP_UNPROTECTED: wrong addresses and levels are refused"),
	CHECK(block, "RTT_MAP_UNPROTECTED: a block of 2 MiB"),
	CHECK(not_live, "RTT_DESTROY: shared pages do not hold a table"),
	CHECKS_END,
};

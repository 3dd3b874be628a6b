/* SPDX-License-Identifier: Apache-2.0 */
/* LPA2: realms whose IPA space has 52 bits, with sixteen root tables at level 0 and with one at level -1. */
#include "checks.h"

#define WIDE       52U
#define WIDE_HALF  BIT(WIDE - 1)
#define HIGH_IPA   (WIDE_HALF - GIB)              /* in the last GiB of the Protected half */
#define SHARED_IPA (WIDE_HALF + 3 * BIT(48) + GIB) /* in the other half, beyond 48 bits */

static bool skipped(void)
{
	if ((features() & FEATURE_LPA2) != 0)
		return false;
	skip_check("no LPA2");
	return true;
}

/* It runs; memory, demand faults and emulated accesses work beyond 48 bits; it goes. */
static void lives(struct realm *realm, int level, unsigned int roots)
{
	EXPECT(realm_create(realm, WIDE, level, roots, 15), RMI_SUCCESS);
	EXPECT(realm_image_load(realm), RMI_SUCCESS);
	EXPECT(realm_tables(realm, HIGH_IPA), RMI_SUCCESS);
	EXPECT(realm_ram(realm, HIGH_IPA, HIGH_IPA + PAGE, PAGE), RMI_SUCCESS);
	EXPECT(realm_rec(realm, 0, REC_RUNNABLE), RMI_SUCCESS);
	EXPECT(rmi(RMI_REALM_ACTIVATE, realm->rd).status, RMI_SUCCESS);
	page_fill(realm->run, 0);
	EXPECT(enter(realm, 0), RMI_SUCCESS);
	EXPECT(run_page(realm)->exit.reason, EXIT_HOST_CALL);
	EXPECT(run_page(realm)->exit.imm, OP_HELLO);
}

static void reaches_far(struct realm *realm)
{
	uint64_t page = page_normal();

	EXPECT(ask(realm, 0, OP_STORE, HIGH_IPA + 8, STORE_X, JUNK), RMI_SUCCESS);
	EXPECT(run_page(realm)->exit.reason, EXIT_SYNC);
	EXPECT(run_page(realm)->exit.hpfar, HIGH_IPA >> 12 << 4);
	EXPECT(realm_unknown(realm, HIGH_IPA), RMI_SUCCESS);
	page_fill(realm->run, 0);
	EXPECT(enter(realm, 0), RMI_SUCCESS);
	EXPECT(run_page(realm)->exit.reason, EXIT_HOST_CALL);
	EXPECT_TRUE(answered(realm, 0, OP_LOAD, HIGH_IPA + 8, LOAD_X));
	EXPECT(exit_gpr(realm, 1), JUNK);
	EXPECT(ask(realm, 0, OP_LOAD, SHARED_IPA + 8, LOAD_X), RMI_SUCCESS);
	EXPECT(run_page(realm)->exit.reason, EXIT_SYNC);
	EXPECT(run_page(realm)->exit.esr & ESR_ISV, ESR_ISV);
	EXPECT(run_page(realm)->exit.hpfar, SHARED_IPA >> 12 << 4);
	page_fill(page, 7);
	EXPECT(realm_tables(realm, SHARED_IPA), RMI_SUCCESS);
	EXPECT(rmi(RMI_RTT_MAP_UNPROTECTED, realm->rd, SHARED_IPA, 3, page | 6 << 2 | 3 << 6).status, RMI_SUCCESS);
	page_fill(realm->run, 0);
	EXPECT(enter(realm, 0), RMI_SUCCESS);
	EXPECT(run_page(realm)->exit.reason, EXIT_HOST_CALL);
	EXPECT(exit_gpr(realm, 1), 7);
	EXPECT(rmi(RMI_RTT_UNMAP_UNPROTECTED, realm->rd, SHARED_IPA, 3).status, RMI_SUCCESS);
	EXPECT_TRUE(page_release(page));
}

static void many_roots(void)
{
	static struct realm realm = { .flags = PARAM_LPA2 };

	if (skipped())
		return;
	lives(&realm, 0, 16);
	reaches_far(&realm);
	EXPECT(realm_destroy(&realm), RMI_SUCCESS);
}

static void one_root(void)
{
	static struct realm realm = { .flags = PARAM_LPA2 };

	if (skipped())
		return;
	lives(&realm, -1, 1);
	reaches_far(&realm);
	EXPECT(realm_destroy(&realm), RMI_SUCCESS);
}

const struct check checks_wide[] = {
	CHECK(many_roots, "LPA2: a realm of 52 bits with sixteen roots at level 0"),
	CHECK(one_root, "LPA2: a realm of 52 bits with a root at level -1"),
	CHECKS_END,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* A5, B4.3: RTT_CREATE, RTT_DESTROY, RTT_READ_ENTRY, RTT_INIT_RIPAS, on a realm that is new. */
#include "checks.h"

#define AREA UINT64_C(0x80000000) /* a level 1 entry of its own */

static void fresh_entries(void)
{
	EXPECT_ENTRY(&lab, 0, 1, 1, STATE_UNASSIGNED, 0, RIPAS_EMPTY);
	EXPECT_ENTRY(&lab, AREA, 3, 1, STATE_UNASSIGNED, 0, RIPAS_EMPTY);
	EXPECT_ENTRY(&lab, PROTECTED - PAGE, 3, 1, STATE_UNASSIGNED, 0, RIPAS_EMPTY);
	EXPECT_ENTRY(&lab, ALIAS, 1, 1, STATE_UNASSIGNED, 0, 0);
	EXPECT_ENTRY(&lab, 2 * PROTECTED - PAGE, 3, 1, STATE_UNASSIGNED, 0, 0);
}

static void read_refused(void)
{
	EXPECT(rmi(RMI_RTT_READ_ENTRY, lab.rd, 0, 0).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_READ_ENTRY, lab.rd, 0, 4).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_READ_ENTRY, lab.rd, 0, ~UINT64_C(0)).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_READ_ENTRY, lab.rd, 8, 3).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_READ_ENTRY, lab.rd, PAGE, 2).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_READ_ENTRY, lab.rd, BLOCK, 1).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_READ_ENTRY, lab.rd, 2 * PROTECTED, 3).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_READ_ENTRY, lab.rd, ~(PAGE - 1), 3).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_READ_ENTRY, lab.root, 0, 1).status, RMI_ERROR_INPUT);
}

static void create_refused(void)
{
	uint64_t pa = page_delegated(), ns = page_normal();

	EXPECT(rmi(RMI_RTT_CREATE, lab.rd, pa, AREA, 1).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_CREATE, lab.rd, pa, AREA, 0).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_CREATE, lab.rd, pa, AREA, 4).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_CREATE, lab.rd, pa, AREA + BLOCK, 2).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_CREATE, lab.rd, pa, AREA + PAGE, 3).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_CREATE, lab.rd, pa, 2 * PROTECTED, 2).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_CREATE, lab.rd, pa + 8, AREA, 2).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_CREATE, lab.rd, ns, AREA, 2).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_CREATE, lab.rd, lab.rd, AREA, 2).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_CREATE, lab.rd, lab.root, AREA, 2).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_CREATE, lab.root, pa, AREA, 2).status, RMI_ERROR_INPUT);
	EXPECT_TRUE(page_release(pa));
	EXPECT_TRUE(page_release(ns));
}

static void parent_missing(void)
{
	EXPECT(realm_table(&lab, AREA, 3), RMI_ERROR_RTT(1));
	EXPECT(realm_table(&lab, ALIAS, 3), RMI_ERROR_RTT(1));
}

static void create(void)
{
	uint64_t pa;

	EXPECT(realm_table(&lab, AREA, 2), RMI_SUCCESS);
	pa = lab.table[lab.tables - 1].pa;
	EXPECT_ENTRY(&lab, AREA, 1, 1, STATE_TABLE, pa, 0);
	EXPECT_ENTRY(&lab, AREA, 3, 2, STATE_UNASSIGNED, 0, RIPAS_EMPTY);
	EXPECT(rmi(RMI_GRANULE_UNDELEGATE, pa).status, RMI_ERROR_INPUT);
	EXPECT(realm_table(&lab, AREA, 2), RMI_ERROR_RTT(1));
}

static void destroy_refused(void)
{
	EXPECT(rmi(RMI_RTT_DESTROY, lab.rd, AREA, 1).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_DESTROY, lab.rd, AREA, 4).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_DESTROY, lab.rd, AREA + PAGE, 3).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_DESTROY, lab.rd, 2 * PROTECTED, 2).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_DESTROY, lab.root, AREA, 2).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_DESTROY, lab.rd, AREA, 1).out[1], 0);
}

static void destroy_missing(void)
{
	struct rmi_result result = rmi(RMI_RTT_DESTROY, lab.rd, AREA, 3);

	/* Nothing behind it in this table: top is the table's end. */
	EXPECT(result.status, RMI_ERROR_RTT(2));
	EXPECT(result.out[1], AREA + GIB);
	EXPECT(realm_table(&lab, AREA + 8 * BLOCK, 3), RMI_SUCCESS);
	result = rmi(RMI_RTT_DESTROY, lab.rd, AREA, 3);
	EXPECT(result.status, RMI_ERROR_RTT(2));
	EXPECT(result.out[1], AREA + 8 * BLOCK);
}

static void destroy_live(void)
{
	struct rmi_result result = rmi(RMI_RTT_DESTROY, lab.rd, AREA, 2);

	EXPECT(result.status, RMI_ERROR_RTT(2));
	EXPECT(result.out[1], AREA);
}

static void destroy(void)
{
	struct rmi_result result;
	uint64_t pa;

	EXPECT(realm_table(&lab, AREA + 3 * BLOCK, 3), RMI_SUCCESS);
	pa = lab.table[lab.tables - 1].pa;
	result = rmi(RMI_RTT_DESTROY, lab.rd, AREA + 3 * BLOCK, 3);
	EXPECT(result.status, RMI_SUCCESS);
	EXPECT(result.out[0], pa);
	EXPECT(result.out[1], AREA + 8 * BLOCK);
	EXPECT_TRUE(realm_forget_table(&lab, AREA + 3 * BLOCK, 3));
	EXPECT_ENTRY(&lab, AREA + 3 * BLOCK, 3, 2, STATE_UNASSIGNED, 0, RIPAS_DESTROYED);
	result = rmi(RMI_RTT_DESTROY, lab.rd, AREA + 8 * BLOCK, 3);
	EXPECT(result.status, RMI_SUCCESS);
	EXPECT(result.out[1], AREA + GIB);
	EXPECT_TRUE(realm_forget_table(&lab, AREA + 8 * BLOCK, 3));
	EXPECT(rmi(RMI_RTT_DESTROY, lab.rd, AREA, 2).status, RMI_SUCCESS);
	EXPECT_TRUE(realm_forget_table(&lab, AREA, 2));
	EXPECT_ENTRY(&lab, AREA, 1, 1, STATE_UNASSIGNED, 0, RIPAS_DESTROYED);
}

static void destroy_unprotected(void)
{
	EXPECT(realm_table(&lab, ALIAS + AREA, 2), RMI_SUCCESS);
	EXPECT(rmi(RMI_RTT_DESTROY, lab.rd, ALIAS + AREA, 2).status, RMI_SUCCESS);
	EXPECT_TRUE(realm_forget_table(&lab, ALIAS + AREA, 2));
	EXPECT_ENTRY(&lab, ALIAS + AREA, 1, 1, STATE_UNASSIGNED, 0, 0);
}

static void init_ripas_refused(void)
{
	EXPECT(rmi(RMI_RTT_INIT_RIPAS, lab.rd, IMAGE_BASE, IMAGE_BASE).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_INIT_RIPAS, lab.rd, IMAGE_TOP, IMAGE_BASE).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_INIT_RIPAS, lab.rd, ALIAS, ALIAS + GIB).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_INIT_RIPAS, lab.rd, PROTECTED - GIB, PROTECTED + PAGE).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_INIT_RIPAS, lab.rd, 2 * PROTECTED, 3 * PROTECTED).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_INIT_RIPAS, lab.root, IMAGE_BASE, IMAGE_TOP).status, RMI_ERROR_INPUT);
}

static void init_ripas_levels(void)
{
	/* Entries of 1 GiB: neither a part of one nor one from its middle. */
	EXPECT(rmi(RMI_RTT_INIT_RIPAS, lab.rd, IMAGE_BASE, IMAGE_TOP).status, RMI_ERROR_RTT(1));
	EXPECT(rmi(RMI_RTT_INIT_RIPAS, lab.rd, IMAGE_BASE + BLOCK, IMAGE_BASE + GIB).status, RMI_ERROR_RTT(1));
}

static void init_ripas(void)
{
	EXPECT(realm_image_load(&lab), RMI_SUCCESS);
	EXPECT_ENTRY(&lab, IMAGE_TOP - 2 * PAGE, 3, 3, STATE_UNASSIGNED, 0, RIPAS_RAM);
	EXPECT_ENTRY(&lab, SPARE_BASE, 3, 3, STATE_UNASSIGNED, 0, RIPAS_EMPTY);
	EXPECT_ENTRY(&lab, LATER_BASE, 3, 2, STATE_UNASSIGNED, 0, RIPAS_RAM);
	EXPECT_ENTRY(&lab, LATER_TOP, 3, 2, STATE_UNASSIGNED, 0, RIPAS_EMPTY);
	/* Part of a 2 MiB entry; a table; a page in use. */
	EXPECT(rmi(RMI_RTT_INIT_RIPAS, lab.rd, LATER_TOP, LATER_TOP + PAGE).status, RMI_ERROR_RTT(2));
	EXPECT(rmi(RMI_RTT_INIT_RIPAS, lab.rd, LATER_TOP + PAGE, LATER_TOP + BLOCK).status, RMI_ERROR_RTT(2));
	EXPECT(rmi(RMI_RTT_INIT_RIPAS, lab.rd, IMAGE_BASE, IMAGE_TOP).status, RMI_ERROR_RTT(3));
}

static void children_inherit(void)
{
	EXPECT(realm_table(&lab, LATER_BASE + BLOCK, 3), RMI_SUCCESS);
	EXPECT_ENTRY(&lab, LATER_BASE + BLOCK, 3, 3, STATE_UNASSIGNED, 0, RIPAS_RAM);
	EXPECT_ENTRY(&lab, LATER_TOP - PAGE, 3, 3, STATE_UNASSIGNED, 0, RIPAS_RAM);
	EXPECT_ENTRY(&lab, LATER_BASE, 3, 2, STATE_UNASSIGNED, 0, RIPAS_RAM);
}

const struct check checks_rtt[] = {
	CHECK(fresh_entries, "RTT_READ_ENTRY: a new realm is empty"),
	CHECK(read_refused, "RTT_READ_ENTRY: wrong levels and addresses are refused"),
	CHECK(create_refused, "RTT_CREATE: wrong levels, addresses and granules are refused"),
	CHECK(parent_missing, "RTT_CREATE: without its parent tells the level to begin with"),
	CHECK(create, "RTT_CREATE: a table, once"),
	CHECK(destroy_refused, "RTT_DESTROY: wrong levels and addresses are refused"),
	CHECK(destroy_missing, "RTT_DESTROY: of no table tells level and next live entry"),
	CHECK(destroy_live, "RTT_DESTROY: not while a table is live"),
	CHECK(destroy, "RTT_DESTROY: gives the table back, its range is DESTROYED"),
	CHECK(destroy_unprotected, "RTT_DESTROY: in the Unprotected half leaves nothing"),
	CHECK(init_ripas_refused, "RTT_INIT_RIPAS: wrong ranges are refused"),
	CHECK(init_ripas_levels, "RTT_INIT_RIPAS: an entry that is too big tells its level"),
	CHECK(init_ripas, "RTT_INIT_RIPAS, DATA_CREATE: the realm's image is loaded"),
	CHECK(children_inherit, "RTT_CREATE: new entries inherit RIPAS"),
	CHECKS_END,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* B4.3: DATA_CREATE, DATA_CREATE_UNKNOWN, DATA_DESTROY. On a realm of its own, so that the shared one's RIM stays simple. */
#include "checks.h"

#define AREA UINT64_C(0x80000000)

static struct realm data;
static uint64_t source;

static void prepare(void)
{
	source = page_normal();
	page_number(source, 1);
	EXPECT(realm_create(&data, S2SZ, 1, 1, 10), RMI_SUCCESS);
}

static void no_table(void)
{
	struct rmi_result result;

	EXPECT(realm_data(&data, AREA, source, DATA_MEASURE), RMI_ERROR_RTT(1));
	EXPECT(realm_unknown(&data, AREA), RMI_ERROR_RTT(1));
	EXPECT(realm_table(&data, AREA, 2), RMI_SUCCESS);
	EXPECT(realm_data(&data, AREA, source, DATA_MEASURE), RMI_ERROR_RTT(2));
	EXPECT(realm_unknown(&data, AREA), RMI_ERROR_RTT(2));
	EXPECT(realm_table(&data, AREA + 5 * BLOCK, 3), RMI_SUCCESS);
	result = rmi(RMI_DATA_DESTROY, data.rd, AREA + PAGE);
	EXPECT(result.status, RMI_ERROR_RTT(2));
	EXPECT(result.out[1], AREA + 5 * BLOCK);
	result = rmi(RMI_DATA_DESTROY, data.rd, AREA + 6 * BLOCK);
	EXPECT(result.status, RMI_ERROR_RTT(2));
	EXPECT(result.out[1], AREA + GIB);
	EXPECT(realm_table(&data, AREA, 3), RMI_SUCCESS);
}

static void create_refused(void)
{
	uint64_t pa = page_delegated(), hidden = page_delegated(), ns = page_normal();

	EXPECT(rmi(RMI_DATA_CREATE, data.rd, ns, AREA, source, 1).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE, data.rd, pa + 8, AREA, source, 1).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE, data.rd, 0x40100000, AREA, source, 1).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE, data.rd, data.rd, AREA, source, 1).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE, data.rd, pa, AREA + 8, source, 1).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE, data.rd, pa, ALIAS + AREA, source, 1).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE, data.rd, pa, 2 * PROTECTED, source, 1).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE, data.rd, pa, AREA, hidden, 1).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE, data.rd, pa, AREA, source + 8, 1).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE, data.rd, pa, AREA, 0x40100000, 1).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE, data.root, pa, AREA, source, 1).status, RMI_ERROR_INPUT);
	EXPECT_ENTRY(&data, AREA, 3, 3, STATE_UNASSIGNED, 0, RIPAS_EMPTY);
	EXPECT_TRUE(page_release(pa));
	EXPECT_TRUE(page_release(hidden));
	EXPECT_TRUE(page_release(ns));
}

static void unknown_refused(void)
{
	uint64_t pa = page_delegated(), ns = page_normal();

	EXPECT(rmi(RMI_DATA_CREATE_UNKNOWN, data.rd, ns, AREA).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE_UNKNOWN, data.rd, pa + 8, AREA).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE_UNKNOWN, data.rd, pa, AREA + 8).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE_UNKNOWN, data.rd, pa, ALIAS + AREA).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE_UNKNOWN, data.root, pa, AREA).status, RMI_ERROR_INPUT);
	EXPECT_TRUE(page_release(pa));
	EXPECT_TRUE(page_release(ns));
}

static void create(void)
{
	uint64_t pa;

	/* 1.0: also where the RIPAS is EMPTY, and it becomes RAM. */
	EXPECT(realm_data(&data, AREA, source, DATA_MEASURE), RMI_SUCCESS);
	pa = data.page[data.pages - 1].pa;
	EXPECT_ENTRY(&data, AREA, 3, 3, STATE_ASSIGNED, pa, RIPAS_RAM);
	EXPECT(rmi(RMI_GRANULE_UNDELEGATE, pa).status, RMI_ERROR_INPUT);
	EXPECT(probe_read(pa, 7), 7);
	EXPECT(ESR_FSC(probe_esr), FSC_GPF);
	EXPECT(rmi(RMI_DATA_CREATE, data.rd, pa, AREA + PAGE, source, 1).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE_UNKNOWN, data.rd, pa, AREA + PAGE).status, RMI_ERROR_INPUT);
	EXPECT(realm_data(&data, AREA, source, DATA_MEASURE), RMI_ERROR_RTT(3));
	EXPECT(realm_unknown(&data, AREA), RMI_ERROR_RTT(3));
}

/* B4.3.1 has no failure condition on them. */
static void create_reserved(void)
{
	EXPECT(realm_data(&data, AREA + 5 * PAGE, source, ~DATA_MEASURE), RMI_SUCCESS);
	EXPECT(rmi(RMI_DATA_DESTROY, data.rd, AREA + 5 * PAGE).status, RMI_SUCCESS);
	EXPECT_TRUE(realm_forget_page(&data, AREA + 5 * PAGE));
}

static void unknown(void)
{
	EXPECT(realm_unknown(&data, AREA + 2 * PAGE), RMI_SUCCESS);
	EXPECT_ENTRY(&data, AREA + 2 * PAGE, 3, 3, STATE_ASSIGNED, data.page[data.pages - 1].pa, RIPAS_EMPTY);
	EXPECT(realm_ram(&data, AREA + 3 * PAGE, AREA + 4 * PAGE, PAGE), RMI_SUCCESS);
	EXPECT(realm_unknown(&data, AREA + 3 * PAGE), RMI_SUCCESS);
	EXPECT_ENTRY(&data, AREA + 3 * PAGE, 3, 3, STATE_ASSIGNED, data.page[data.pages - 1].pa, RIPAS_RAM);
}

static void table_live(void)
{
	struct rmi_result result = rmi(RMI_RTT_DESTROY, data.rd, AREA, 3);

	EXPECT(result.status, RMI_ERROR_RTT(3));
	EXPECT(result.out[1], AREA);
}

static void destroy(void)
{
	struct rmi_result result = rmi(RMI_DATA_DESTROY, data.rd, AREA);

	EXPECT(result.status, RMI_SUCCESS);
	EXPECT(result.out[0], data.page[0].pa);
	EXPECT(result.out[1], AREA + 2 * PAGE);
	EXPECT_TRUE(realm_forget_page(&data, AREA));
	EXPECT_ENTRY(&data, AREA, 3, 3, STATE_UNASSIGNED, 0, RIPAS_DESTROYED);
	result = rmi(RMI_DATA_DESTROY, data.rd, AREA);
	EXPECT(result.status, RMI_ERROR_RTT(3));
	EXPECT(result.out[0], 0);
	EXPECT(result.out[1], AREA + 2 * PAGE);
	result = rmi(RMI_DATA_DESTROY, data.rd, AREA + 2 * PAGE);
	EXPECT(result.status, RMI_SUCCESS);
	EXPECT(result.out[1], AREA + 3 * PAGE);
	EXPECT_TRUE(realm_forget_page(&data, AREA + 2 * PAGE));
	EXPECT_ENTRY(&data, AREA + 2 * PAGE, 3, 3, STATE_UNASSIGNED, 0, RIPAS_EMPTY);
	result = rmi(RMI_DATA_DESTROY, data.rd, AREA + 3 * PAGE);
	EXPECT(result.status, RMI_SUCCESS);
	EXPECT(result.out[1], AREA + BLOCK);
	EXPECT_TRUE(realm_forget_page(&data, AREA + 3 * PAGE));
	EXPECT_ENTRY(&data, AREA + 3 * PAGE, 3, 3, STATE_UNASSIGNED, 0, RIPAS_DESTROYED);
}

static void destroy_refused(void)
{
	EXPECT(rmi(RMI_DATA_DESTROY, data.rd, AREA + 8).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_DESTROY, data.rd, ALIAS + AREA).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_DESTROY, data.rd, 2 * PROTECTED).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_DESTROY, data.root, AREA).status, RMI_ERROR_INPUT);
}

static void unknown_on_destroyed(void)
{
	EXPECT(realm_unknown(&data, AREA), RMI_SUCCESS);
	EXPECT_ENTRY(&data, AREA, 3, 3, STATE_ASSIGNED, data.page[data.pages - 1].pa, RIPAS_DESTROYED);
	EXPECT(rmi(RMI_DATA_DESTROY, data.rd, AREA).status, RMI_SUCCESS);
	EXPECT_TRUE(realm_forget_page(&data, AREA));
	EXPECT_ENTRY(&data, AREA, 3, 3, STATE_UNASSIGNED, 0, RIPAS_DESTROYED);
}

static void live_realm(void)
{
	EXPECT(rmi(RMI_REALM_DESTROY, data.rd).status, RMI_ERROR_REALM(0));
	EXPECT(realm_destroy(&data), RMI_SUCCESS);
	EXPECT_TRUE(page_release(source));
}

const struct check checks_data[] = {
	CHECK(prepare, "DATA: a realm to fill"),
	CHECK(no_table, "DATA: without tables, level and next live entry are told"),
	CHECK(create_refused, "DATA_CREATE: wrong granules and addresses are refused"),
	CHECK(unknown_refused, "DATA_CREATE_UNKNOWN: wrong granules and addresses are refused"),
	CHECK(create, "DATA_CREATE: a page, out of the host's reach, once"),
	CHECK(create_reserved, "DATA_CREATE: reserved flags are no failure"),
	CHECK(unknown, "DATA_CREATE_UNKNOWN: keeps the RIPAS"),
	CHECK(table_live, "RTT_DESTROY: not while pages hang on a table"),
	CHECK(destroy, "DATA_DESTROY: RAM is DESTROYED, the page comes back wiped, top is the next one"),
	CHECK(destroy_refused, "DATA_DESTROY: wrong addresses are refused"),
	CHECK(unknown_on_destroyed, "DATA_CREATE_UNKNOWN: DESTROYED stays DESTROYED"),
	CHECK(live_realm, "REALM_DESTROY: not while tables are there"),
	CHECKS_END,
};

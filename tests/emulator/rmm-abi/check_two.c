/* SPDX-License-Identifier: Apache-2.0 */
/* Two realms at a time. */
#include "checks.h"

#include "console.h"

/* Another shape: 32 bits, four tables at level 2. */
static struct realm other = { .name = 'B' };

static void second(void)
{
	EXPECT(realm_create(&other, 32, 2, 4, 6), RMI_SUCCESS);
	EXPECT(realm_image_load(&other), RMI_SUCCESS);
	EXPECT(realm_rec(&other, 0, REC_RUNNABLE), RMI_SUCCESS);
	EXPECT(realm_rec(&other, 1, 0), RMI_SUCCESS);
	EXPECT(rmi(RMI_REALM_ACTIVATE, other.rd).status, RMI_SUCCESS);
	page_fill(other.run, 0);
	EXPECT(enter(&other, 0), RMI_SUCCESS);
	EXPECT(run_page(&other)->exit.reason, EXIT_HOST_CALL);
	EXPECT(run_page(&other)->exit.imm, OP_HELLO);
}

static void granules_apart(void)
{
	uint64_t pa = lab.page[0].pa, ipa = IMAGE_TOP;
	struct realm_rec rec;
	(void)realm_rec_params(&other, &rec);

	EXPECT(rmi(RMI_DATA_CREATE_UNKNOWN, other.rd, pa, ipa).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE_UNKNOWN, other.rd, lab.rec[0].pa, ipa).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_DATA_CREATE_UNKNOWN, other.rd, lab.table[0].pa, ipa).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_CREATE, other.rd, pa, UINT64_C(0x50000000), 3).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_CREATE, other.rd, lab.table[0].pa, UINT64_C(0x50000000), 3).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_CREATE, pa, other.params).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_DESTROY, pa).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_ENTER, pa, other.run).status, RMI_ERROR_INPUT);
	rec_release(&other, &rec);
}

static void recs_apart(void)
{
	/* The second realm asks; nobody may answer with the first one's tables or CPUs. */
	EXPECT(ask(&other, 0, OP_SMC, RSI_IPA_STATE_SET, LATER_BASE, LATER_BASE + BLOCK, RIPAS_EMPTY, 0), RMI_SUCCESS);
	EXPECT(run_page(&other)->exit.reason, EXIT_RIPAS_CHANGE);
	EXPECT(rmi(RMI_RTT_SET_RIPAS, lab.rd, other.rec[0].pa, LATER_BASE, LATER_BASE + BLOCK).status, RMI_ERROR_REC);
	EXPECT(rmi(RMI_RTT_SET_RIPAS, other.rd, lab.rec[0].pa, LATER_BASE, LATER_BASE + BLOCK).status, RMI_ERROR_REC);
	EXPECT(rmi(RMI_RTT_SET_RIPAS, other.rd, other.rec[0].pa, LATER_BASE, LATER_BASE + BLOCK).status, RMI_SUCCESS);
	page_fill(other.run, 0);
	EXPECT(enter(&other, 0), RMI_SUCCESS);
	EXPECT(run_page(&other)->exit.reason, EXIT_HOST_CALL);
	EXPECT(ask(&other, 0, OP_SMC, PSCI_CPU_ON, 1, IMAGE_BASE, 0), RMI_SUCCESS);
	EXPECT(run_page(&other)->exit.reason, EXIT_PSCI);
	EXPECT(rmi(RMI_PSCI_COMPLETE, other.rec[0].pa, lab.rec[1].pa, 0).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_PSCI_COMPLETE, other.rec[0].pa, other.rec[1].pa, PSCI_DENIED).status, RMI_SUCCESS);
	page_fill(other.run, 0);
	EXPECT(enter(&other, 0), RMI_SUCCESS);
	EXPECT(exit_gpr(&other, 1), PSCI_DENIED);
}

/* A page that one realm filled, put to other uses without a way through the host. */
static void recycled(void)
{
	uint64_t first = LATER_BASE + 40 * PAGE, second = IMAGE_TOP - 2 * PAGE, offset, pa;

	EXPECT(realm_unknown(&lab, first), RMI_SUCCESS);
	pa = lab.page[lab.pages - 1].pa;
	for (offset = 0; offset < PAGE; offset += 0x1f8)
		EXPECT_TRUE(answered(&lab, 0, OP_STORE, first + offset, STORE_X, pa | 0x7ff));
	EXPECT(rmi(RMI_DATA_DESTROY, lab.rd, first).status, RMI_SUCCESS);
	EXPECT(rmi(RMI_DATA_CREATE_UNKNOWN, other.rd, pa, second).status, RMI_SUCCESS);
	for (offset = 0; offset < PAGE; offset += 0x1f8) {
		EXPECT_TRUE(answered(&other, 0, OP_LOAD, second + offset, LOAD_X));
		EXPECT(exit_gpr(&other, 1), 0);
		EXPECT_TRUE(answered(&other, 0, OP_STORE, second + offset, STORE_X, pa | 0x7ff));
	}
	EXPECT(rmi(RMI_DATA_DESTROY, other.rd, second).status, RMI_SUCCESS);
	/* As a table: nothing that the realm wrote may be an entry. */
	EXPECT(rmi(RMI_RTT_CREATE, lab.rd, pa, SHARED_BASE + 20 * BLOCK, 3).status, RMI_SUCCESS);
	for (offset = 0; offset < PAGE; offset += 0x1f8)
		EXPECT_ENTRY(&lab, SHARED_BASE + 20 * BLOCK + offset / 8 * PAGE, 3, 3, STATE_UNASSIGNED, 0, 0);
	EXPECT(rmi(RMI_RTT_DESTROY, lab.rd, SHARED_BASE + 20 * BLOCK, 3).status, RMI_SUCCESS);
	EXPECT_TRUE(realm_forget_page(&lab, first));
}

/* The same address, entered in turn: neither memory nor a cached translation of the other. */
static void memory_apart(void)
{
	uint64_t round, ipa = UNMEASURED_IPA + 0x100;

	for (round = 1; round < 4; round++) {
		EXPECT_TRUE(answered(&lab, 0, OP_STORE, ipa, STORE_X, round));
		EXPECT_TRUE(answered(&other, 0, OP_STORE, ipa, STORE_X, ~round));
		EXPECT_TRUE(answered(&lab, 0, OP_LOAD, ipa, LOAD_X));
		EXPECT(exit_gpr(&lab, 1), round);
		EXPECT_TRUE(answered(&other, 0, OP_LOAD, ipa, LOAD_X));
		EXPECT(exit_gpr(&other, 1), ~round);
	}
}

static void config_apart(void)
{
	EXPECT_TRUE(answered(&other, 0, OP_SMC, RSI_REALM_CONFIG, UNMEASURED_IPA));
	EXPECT_TRUE(answered(&other, 0, OP_LOAD, UNMEASURED_IPA, LOAD_X));
	EXPECT(exit_gpr(&other, 1), 32);
	/* Its Unprotected half begins lower. */
	EXPECT(ask(&other, 0, OP_LOAD, BIT(31), LOAD_W), RMI_SUCCESS);
	EXPECT(run_page(&other)->exit.reason, EXIT_SYNC);
	EXPECT(run_page(&other)->exit.hpfar, BIT(31) >> 12 << 4);
	page_fill(other.run, 0);
	run_page(&other)->enter.flags = ENTER_INJECT_SEA;
	EXPECT(enter(&other, 0), RMI_SUCCESS);
	EXPECT_TRUE(answered(&other, 0, OP_LOAD, BIT(32), LOAD_W));
	EXPECT(exit_gpr(&other, R_COUNT), 1);
	EXPECT(ESR_FSC(exit_gpr(&other, R_ESR)), 0);
}

static void rim(void)
{
	EXPECT_TRUE(answered(&other, 0, OP_SMC, RSI_MEASUREMENT_READ, 0));
	EXPECT(exit_gpr(&other, 1), RSI_SUCCESS);
	print_text("# rim B is ");
	print_bytes(&run_page(&other)->exit.gprs[2], 64);
	print_text("\n");
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_MEASUREMENT_READ, 0));
	EXPECT_NOT(exit_gpr(&lab, 2), exit_gpr(&other, 2));
}

/* Switched off, emptied, gone; its pages come back without what it wrote. */
static void gone(void)
{
	EXPECT_TRUE(answered(&other, 0, OP_STORE, UNMEASURED_IPA, STORE_X, JUNK));
	EXPECT(ask(&other, 0, OP_SMC, PSCI_SYSTEM_RESET), RMI_SUCCESS);
	EXPECT(run_page(&other)->exit.reason, EXIT_PSCI);
	EXPECT(exit_gpr(&other, 0), PSCI_SYSTEM_RESET);
	page_fill(other.run, 0);
	EXPECT(enter(&other, 0), RMI_ERROR_REALM(1));
	EXPECT(rmi(RMI_REALM_DESTROY, other.rd).status, RMI_ERROR_REALM(0));
	EXPECT(realm_destroy(&other), RMI_SUCCESS);
	EXPECT_TRUE(answered(&lab, 0, OP_SPIN, 1));
}

const struct check checks_two[] = {
	CHECK(second, "Two realms: a second one, of another shape, runs"),
	CHECK(granules_apart, "Two realms: a granule of one is refused for the other"),
	CHECK(recs_apart, "Two realms: a REC of one is refused for the other"),
	CHECK(memory_apart, "Two realms: equal addresses, different memory"),
	CHECK(recycled, "Two realms: a page that one filled is empty for the other, and as a table"),
	CHECK(config_apart, "Two realms: each has its own width"),
	CHECK(rim, "Two realms: each has its own measurement"),
	CHECK(gone, "SYSTEM_RESET: ends a realm; the other goes on"),
	CHECKS_END,
};

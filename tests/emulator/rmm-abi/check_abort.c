/* SPDX-License-Identifier: Apache-2.0 */
/* A5.2: what an access does, by the state of its page; what else traps. */
#include "checks.h"

#define EMPTY_IPA  (SPARE_BASE + UINT64_C(0x100000))
#define DEMAND_IPA (LATER_BASE + BLOCK + 9 * PAGE)

/* The last operation took one exception at the realm's EL1. */
static void expect_abort(uint64_t class, uint64_t status, uint64_t address)
{
	uint64_t esr = exit_gpr(&lab, R_ESR);

	EXPECT(run_page(&lab)->exit.reason, EXIT_HOST_CALL);
	EXPECT(exit_gpr(&lab, R_COUNT), 1);
	EXPECT(ESR_EC(esr), class);
	EXPECT(ESR_FSC(esr), status);
	EXPECT(exit_gpr(&lab, R_FAR), address);
}

/* The last entry ended with a fault at a Protected page. */
static void expect_fault(uint64_t class, uint64_t status, uint64_t ipa)
{
	const struct rec_run *run = run_page(&lab);
	unsigned int i;

	EXPECT(run->exit.reason, EXIT_SYNC);
	EXPECT(ESR_EC(run->exit.esr), class);
	EXPECT(ESR_FSC(run->exit.esr), status);
	EXPECT(run->exit.esr & ESR_ISV, 0);
	EXPECT(run->exit.far, 0);
	EXPECT(run->exit.hpfar, ipa >> 12 << 4);
	for (i = 0; i < 31; i++)
		EXPECT(run->exit.gprs[i], 0);
}

static void empty(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_LOAD, EMPTY_IPA + 8, LOAD_X));
	expect_abort(EC_DATA_SAME, FSC_EXTERNAL, EMPTY_IPA + 8);
	EXPECT(exit_gpr(&lab, R_ESR) & ESR_EA, ESR_EA);
	EXPECT_TRUE(answered(&lab, 0, OP_STORE, EMPTY_IPA, STORE_X, 1));
	expect_abort(EC_DATA_SAME, FSC_EXTERNAL, EMPTY_IPA);
	EXPECT_TRUE(answered(&lab, 0, OP_LOAD, 0, LOAD_X));
	expect_abort(EC_DATA_SAME, FSC_EXTERNAL, 0);
	EXPECT_TRUE(answered(&lab, 0, OP_EXECUTE, EMPTY_IPA));
	expect_abort(EC_INST_SAME, FSC_EXTERNAL, EMPTY_IPA);
}

static void empty_assigned(void)
{
	EXPECT(realm_unknown(&lab, EMPTY_IPA), RMI_SUCCESS);
	EXPECT_TRUE(answered(&lab, 0, OP_LOAD, EMPTY_IPA, LOAD_X));
	expect_abort(EC_DATA_SAME, FSC_EXTERNAL, EMPTY_IPA);
	EXPECT(rmi(RMI_DATA_DESTROY, lab.rd, EMPTY_IPA).status, RMI_SUCCESS);
	EXPECT_TRUE(realm_forget_page(&lab, EMPTY_IPA));
}

static void demand(void)
{
	EXPECT(ask(&lab, 0, OP_LOAD, DEMAND_IPA + 16, LOAD_X), RMI_SUCCESS);
	expect_fault(EC_DATA_LOWER, FSC_TRANSLATION(3), DEMAND_IPA);
	/* Nothing done: the same again. */
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	expect_fault(EC_DATA_LOWER, FSC_TRANSLATION(3), DEMAND_IPA);
	/* Nobody but the RMM says what such a page reads as, and the host cannot inject an abort there. */
	page_fill(lab.run, 0);
	run_page(&lab)->enter.flags = ENTER_EMUL_MMIO;
	EXPECT(enter(&lab, 0), RMI_ERROR_REC);
	EXPECT(realm_unknown(&lab, DEMAND_IPA), RMI_SUCCESS);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_HOST_CALL);
	EXPECT(exit_gpr(&lab, 1), 0);
	EXPECT(exit_gpr(&lab, R_COUNT), 0);
}

static void unknown_is_wiped(void)
{
	uint64_t offset;

	for (offset = 0; offset < PAGE; offset += 0x3f8) {
		EXPECT_TRUE(answered(&lab, 0, OP_LOAD, DEMAND_IPA + offset, LOAD_X));
		EXPECT(exit_gpr(&lab, 1), 0);
	}
}

static void demand_fetch(void)
{
	EXPECT(ask(&lab, 0, OP_EXECUTE, DEMAND_IPA + PAGE), RMI_SUCCESS);
	expect_fault(EC_INST_LOWER, FSC_TRANSLATION(3), DEMAND_IPA + PAGE);
	EXPECT(realm_unknown(&lab, DEMAND_IPA + PAGE), RMI_SUCCESS);
	/* Zero is UDF. */
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_HOST_CALL);
	EXPECT(ESR_EC(exit_gpr(&lab, R_ESR)), EC_UNKNOWN);
	EXPECT(exit_gpr(&lab, R_ELR), DEMAND_IPA + PAGE);
}

/* Taken away by the host: the realm cannot go on, and another page in its place changes nothing. This leaves REC 0 at its
 * load for good. */
static void destroyed(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_STORE, DEMAND_IPA, STORE_X, JUNK));
	EXPECT(rmi(RMI_DATA_DESTROY, lab.rd, DEMAND_IPA).status, RMI_SUCCESS);
	EXPECT_TRUE(realm_forget_page(&lab, DEMAND_IPA));
	EXPECT(ask(&lab, 0, OP_LOAD, DEMAND_IPA, LOAD_X), RMI_SUCCESS);
	expect_fault(EC_DATA_LOWER, FSC_TRANSLATION(3), DEMAND_IPA);
	EXPECT(realm_unknown(&lab, DEMAND_IPA), RMI_SUCCESS);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_SYNC);
	EXPECT(ESR_EC(run_page(&lab)->exit.esr), EC_DATA_LOWER);
	EXPECT(run_page(&lab)->exit.hpfar, DEMAND_IPA >> 12 << 4);
}

static void beyond(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_LOAD, 2 * PROTECTED + 64, LOAD_X));
	EXPECT(exit_gpr(&lab, R_COUNT), 1);
	EXPECT(ESR_EC(exit_gpr(&lab, R_ESR)), EC_DATA_SAME);
	EXPECT(ESR_FSC(exit_gpr(&lab, R_ESR)), 0);
	EXPECT(exit_gpr(&lab, R_FAR), 2 * PROTECTED + 64);
}

/* The same through tables of the realm's: the fault is at the level of the descriptor that leads there, be it a page or
 * block or another table (A5.2.8; Arm ARM, D8.2). */
static void beyond_translated(void)
{
	uint64_t level;

	for (level = 1; level <= 3; level++) {
		EXPECT_TRUE(answered(&lab, 0, OP_TRANSLATED, level, 2 * PROTECTED, 0));
		expect_abort(EC_DATA_SAME, level, TRANSLATED_VA);
	}
	for (level = 1; level <= 2; level++) {
		EXPECT_TRUE(answered(&lab, 0, OP_TRANSLATED, level, 2 * PROTECTED, 1));
		expect_abort(EC_DATA_SAME, level, TRANSLATED_VA);
	}
}

static void shared_fetch(void)
{
	uint64_t page = page_normal(), ipa = SHARED_BASE + 9 * PAGE;

	EXPECT_TRUE(answered(&lab, 0, OP_EXECUTE, ipa));
	expect_abort(EC_INST_SAME, FSC_EXTERNAL, ipa);
	EXPECT(rmi(RMI_RTT_MAP_UNPROTECTED, lab.rd, ipa, 3, page | 6 << 2 | 3 << 6).status, RMI_SUCCESS);
	EXPECT_TRUE(answered(&lab, 0, OP_EXECUTE, ipa));
	expect_abort(EC_INST_SAME, FSC_EXTERNAL, ipa);
	EXPECT(rmi(RMI_RTT_UNMAP_UNPROTECTED, lab.rd, ipa, 3).status, RMI_SUCCESS);
	EXPECT_TRUE(page_release(page));
}

/* A shared page that the host only lets be read. */
static void read_only(void)
{
	uint64_t page = page_normal(), ipa = SHARED_BASE + 10 * PAGE;

	page_fill(page, 42);
	EXPECT(rmi(RMI_RTT_MAP_UNPROTECTED, lab.rd, ipa, 3, page | 6 << 2 | 1 << 6).status, RMI_SUCCESS);
	EXPECT_TRUE(answered(&lab, 0, OP_LOAD, ipa, LOAD_X));
	EXPECT(exit_gpr(&lab, 1), 42);
	EXPECT(ask(&lab, 0, OP_STORE, ipa, STORE_W, 7), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_SYNC);
	EXPECT(ESR_FSC(run_page(&lab)->exit.esr), 0xf);
	EXPECT(run_page(&lab)->exit.esr & ESR_WNR, ESR_WNR);
	EXPECT(exit_gpr(&lab, 0), 7);
	EXPECT(page_words(page)[0], 42);
	page_fill(lab.run, 0);
	run_page(&lab)->enter.flags = ENTER_EMUL_MMIO;
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_HOST_CALL);
	EXPECT(rmi(RMI_RTT_UNMAP_UNPROTECTED, lab.rd, ipa, 3).status, RMI_SUCCESS);
	EXPECT_TRUE(page_release(page));
}

/* A delegated page behind a shared address: not the realm's, and its access is a fault, not the machine's end. */
static void shared_delegated(void)
{
	uint64_t page = page_delegated(), ipa = SHARED_BASE + 11 * PAGE;

	EXPECT(rmi(RMI_RTT_MAP_UNPROTECTED, lab.rd, ipa, 3, page | 6 << 2 | 3 << 6).status, RMI_SUCCESS);
	EXPECT(ask(&lab, 0, OP_STORE, ipa, STORE_X, JUNK), RMI_SUCCESS);
	EXPECT(rmi(RMI_RTT_UNMAP_UNPROTECTED, lab.rd, ipa, 3).status, RMI_SUCCESS);
	EXPECT_TRUE(page_release(page));
	/* However the RMM showed that, the realm's access can be ended. */
	if (run_page(&lab)->exit.reason == EXIT_SYNC) {
		page_fill(lab.run, 0);
		run_page(&lab)->enter.flags = ENTER_INJECT_SEA;
		EXPECT(enter(&lab, 0), RMI_SUCCESS);
	}
	EXPECT(run_page(&lab)->exit.reason, EXIT_HOST_CALL);
	EXPECT(exit_gpr(&lab, R_COUNT), 1);
}

static void undefined(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_HVC));
	EXPECT(exit_gpr(&lab, R_COUNT), 1);
	EXPECT(ESR_EC(exit_gpr(&lab, R_ESR)), EC_UNKNOWN);
	EXPECT_TRUE(answered(&lab, 0, OP_UDF));
	EXPECT(exit_gpr(&lab, R_COUNT), 1);
	EXPECT(ESR_EC(exit_gpr(&lab, R_ESR)), EC_UNKNOWN);
}

static void id_registers(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_SYSREG, SYSREG_PFR0));
	EXPECT(exit_gpr(&lab, R_COUNT), 0);
	EXPECT(exit_gpr(&lab, 1) & 0xff, 0x11);          /* AArch64 only */
	EXPECT(exit_gpr(&lab, 1) >> 52 & 0xf, 0);        /* no RME */
	EXPECT(exit_gpr(&lab, 1) >> 32 & 0xf, 0);        /* no SVE, which was not asked for */
	EXPECT(exit_gpr(&lab, 1) >> 44 & 0xf, 0);        /* no AMU */
	EXPECT_TRUE(answered(&lab, 0, OP_SYSREG, SYSREG_PFR1));
	EXPECT(exit_gpr(&lab, 1) >> 8 & 0xf, 0);         /* no MTE */
	EXPECT(exit_gpr(&lab, 1) >> 24 & 0xf, 0);        /* no SME */
	EXPECT_TRUE(answered(&lab, 0, OP_SYSREG, SYSREG_DFR0));
	EXPECT(exit_gpr(&lab, 1) >> 12 & 0xf, FEATURE_BPS(features()));
	EXPECT(exit_gpr(&lab, 1) >> 20 & 0xf, FEATURE_WPS(features()));
	EXPECT(exit_gpr(&lab, 1) >> 8 & 0xf, 0);         /* no PMU, which was not asked for */
	EXPECT_TRUE(answered(&lab, 0, OP_SYSREG, SYSREG_ZFR0));
	EXPECT(exit_gpr(&lab, 1), 0);
	EXPECT_TRUE(answered(&lab, 0, OP_SYSREG, SYSREG_RESERVED));
	EXPECT(exit_gpr(&lab, 1), 0);
	EXPECT_TRUE(answered(&lab, 0, OP_SYSREG, SYSREG_PMCR));
	EXPECT(exit_gpr(&lab, R_COUNT), 1);
	EXPECT(ESR_EC(exit_gpr(&lab, R_ESR)), EC_UNKNOWN);
}

static void wfi_trapped(void)
{
	struct rec_run *run = run_page(&lab);

	page_fill(lab.run, 0);
	run->enter.gprs[0] = OP_WFI;
	run->enter.flags = ENTER_TRAP_WFI;
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_SYNC);
	EXPECT(ESR_EC(run->exit.esr), EC_WFX);
	EXPECT(run->exit.esr & 1, 0);
	EXPECT(run->exit.gprs[0], 0);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_HOST_CALL);
	EXPECT(run->exit.imm, OP_WFI);
}

/* WFI sleeps in the realm until an interrupt of the host's comes. */
static void wfi_not_trapped(void)
{
	struct rec_run *run = run_page(&lab);

	page_fill(lab.run, 0);
	run->enter.gprs[0] = OP_WFI;
	EXPECT(enter_for(&lab, 0, 200000), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_IRQ);
	EXPECT(run->exit.esr, 0);
	EXPECT_TRUE(run_expired);
	EXPECT(run_interrupt, 26);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	/* It is up to the CPU whether that woke it. */
	if (run->exit.reason == EXIT_IRQ)
		EXPECT(enter_for(&lab, 0, 200000), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_HOST_CALL);
}

const struct check checks_abort[] = {
	CHECK(empty, "EMPTY: an access is an external abort in the realm"),
	CHECK(empty_assigned, "EMPTY: also with a page behind it"),
	CHECK(demand, "RAM without a page: the access ends the run and is repeated with a page"),
	CHECK(unknown_is_wiped, "DATA_CREATE_UNKNOWN: the page is wiped"),
	CHECK(demand_fetch, "RAM without a page: also for a fetch"),
	CHECK(beyond, "IPA out of range: address size fault in the realm"),
	CHECK(beyond_translated, "IPA out of range: the fault is at the level of the descriptor that leads there"),
	CHECK(shared_fetch, "Unprotected: a fetch is an external abort in the realm"),
	CHECK(read_only, "Unprotected: a page that may only be read"),
	CHECK(shared_delegated, "Unprotected: a delegated page there is not accessible"),
	CHECK(undefined, "HVC, UDF: undefined in the realm"),
	CHECK(id_registers, "ID registers: nothing that a realm cannot have"),
	CHECK(wfi_trapped, "WFI: ends the run if the host wants that"),
	CHECK(wfi_not_trapped, "WFI: else sleeps until an interrupt ends the run"),
	CHECKS_END,
};

/* Behind all that need REC 0. */
const struct check checks_stuck[] = {
	CHECK(destroyed, "DESTROYED: an access ends the run, for good"),
	CHECKS_END,
};

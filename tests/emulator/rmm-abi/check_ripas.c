/* SPDX-License-Identifier: Apache-2.0 */
/* A5.4, B4.3, B5.3: RSI_IPA_STATE_SET, the exit for it, RTT_SET_RIPAS. */
#include "checks.h"

#define X(n) exit_gpr(&lab, 1 + (n))
#define AREA (SPARE_BASE + UINT64_C(0x10000)) /* EMPTY pages in the image's table */

static uint64_t set(uint64_t base, uint64_t top)
{
	return rmi(RMI_RTT_SET_RIPAS, lab.rd, lab.rec[0].pa, base, top).status;
}

/* The realm asks; the exit must tell the host what. */
static void expect_asks(uint64_t base, uint64_t top, uint64_t ripas, uint64_t flags)
{
	const struct rec_run *run = run_page(&lab);

	EXPECT(ask(&lab, 0, OP_SMC, RSI_IPA_STATE_SET, base, top, ripas, flags), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_RIPAS_CHANGE);
	EXPECT(run->exit.ripas_base, base);
	EXPECT(run->exit.ripas_top, top);
	EXPECT(run->exit.ripas_value, ripas);
}

/* The host answers; the realm must learn how far it came. */
static void expect_learns(uint64_t flags, uint64_t progress, uint64_t response)
{
	page_fill(lab.run, 0);
	run_page(&lab)->enter.flags = flags;
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_HOST_CALL);
	EXPECT(X(0), RSI_SUCCESS);
	EXPECT(X(1), progress);
	EXPECT(X(2), response);
}

static void refused(void)
{
	static const uint64_t wrong[][4] = {
		{ AREA + 8, AREA + PAGE, RIPAS_RAM, 0 }, { AREA, AREA + PAGE - 8, RIPAS_RAM, 0 },
		{ AREA + PAGE, AREA, RIPAS_RAM, 0 }, { AREA, AREA, RIPAS_RAM, 0 },
		{ ALIAS, ALIAS + PAGE, RIPAS_RAM, 0 }, { AREA, PROTECTED + PAGE, RIPAS_RAM, 0 },
		{ AREA, AREA + PAGE, RIPAS_DESTROYED, 0 }, { AREA, AREA + PAGE, 77, 0 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_IPA_STATE_SET, wrong[i][0], wrong[i][1], wrong[i][2],
				     wrong[i][3]));
		EXPECT(X(0), RSI_ERROR_INPUT);
	}
}

static void not_asked(void)
{
	EXPECT(set(AREA, AREA + PAGE), RMI_ERROR_INPUT);
	EXPECT_ENTRY(&lab, AREA, 3, 3, STATE_UNASSIGNED, 0, RIPAS_EMPTY);
}

static void accepted(void)
{
	struct rmi_result result;

	expect_asks(AREA, AREA + 4 * PAGE, RIPAS_RAM, 0);
	result = rmi(RMI_RTT_SET_RIPAS, lab.rd, lab.rec[0].pa, AREA, AREA + 4 * PAGE);
	EXPECT(result.status, RMI_SUCCESS);
	EXPECT(result.out[0], AREA + 4 * PAGE);
	EXPECT_ENTRY(&lab, AREA + 3 * PAGE, 3, 3, STATE_UNASSIGNED, 0, RIPAS_RAM);
	EXPECT_ENTRY(&lab, AREA + 4 * PAGE, 3, 3, STATE_UNASSIGNED, 0, RIPAS_EMPTY);
	expect_learns(0, AREA + 4 * PAGE, RSI_ACCEPT);
	/* That request is over. */
	EXPECT(set(AREA + 4 * PAGE, AREA + 5 * PAGE), RMI_ERROR_INPUT);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_IPA_STATE_GET, AREA, AREA + 8 * PAGE));
	EXPECT(X(1), AREA + 4 * PAGE);
	EXPECT(X(2), RIPAS_RAM);
}

static void partly(void)
{
	expect_asks(AREA + 4 * PAGE, AREA + 8 * PAGE, RIPAS_RAM, 0);
	EXPECT(set(AREA + 4 * PAGE, AREA + 6 * PAGE), RMI_SUCCESS);
	expect_learns(0, AREA + 6 * PAGE, RSI_ACCEPT);
	/* The realm was told how far it came: no more after that. */
	EXPECT(set(AREA + 6 * PAGE, AREA + 8 * PAGE), RMI_ERROR_INPUT);
	EXPECT_ENTRY(&lab, AREA + 5 * PAGE, 3, 3, STATE_UNASSIGNED, 0, RIPAS_RAM);
	EXPECT_ENTRY(&lab, AREA + 6 * PAGE, 3, 3, STATE_UNASSIGNED, 0, RIPAS_EMPTY);
}

static void rejected(void)
{
	expect_asks(AREA + 6 * PAGE, AREA + 8 * PAGE, RIPAS_RAM, 0);
	expect_learns(ENTER_REJECT, AREA + 6 * PAGE, RSI_REJECT);
	EXPECT_ENTRY(&lab, AREA + 6 * PAGE, 3, 3, STATE_UNASSIGNED, 0, RIPAS_EMPTY);
	/* What the realm gives up cannot be rejected. */
	expect_asks(AREA, AREA + PAGE, RIPAS_EMPTY, 0);
	expect_learns(ENTER_REJECT, AREA, RSI_ACCEPT);
	EXPECT_ENTRY(&lab, AREA, 3, 3, STATE_UNASSIGNED, 0, RIPAS_RAM);
}

static void wrong_set(void)
{
	uint64_t base = AREA + 8 * PAGE, top = AREA + 10 * PAGE;

	expect_asks(base, top, RIPAS_RAM, 0);
	EXPECT(set(base + PAGE, top), RMI_ERROR_INPUT);
	EXPECT(set(base, top + PAGE), RMI_ERROR_INPUT);
	EXPECT(set(base, base), RMI_ERROR_INPUT);
	EXPECT(set(base, top - 8), RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_SET_RIPAS, lab.root, lab.rec[0].pa, base, top).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_SET_RIPAS, lab.rd, lab.rd, base, top).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_RTT_SET_RIPAS, lab.rd, lab.rec[1].pa, base, top).status, RMI_ERROR_INPUT);
	EXPECT(set(base, base + PAGE), RMI_SUCCESS);
	EXPECT(set(base, top), RMI_ERROR_INPUT);
	EXPECT(set(base + PAGE, top), RMI_SUCCESS);
	expect_learns(0, top, RSI_ACCEPT);
}

static void table_needed(void)
{
	uint64_t base = LATER_BASE + PAGE, top = LATER_BASE + 2 * PAGE;

	expect_asks(base, top, RIPAS_EMPTY, 0);
	EXPECT(set(base, top), RMI_ERROR_RTT(2));
	EXPECT(realm_table(&lab, LATER_BASE, 3), RMI_SUCCESS);
	EXPECT(set(base, top), RMI_SUCCESS);
	EXPECT_ENTRY(&lab, base, 3, 3, STATE_UNASSIGNED, 0, RIPAS_EMPTY);
	EXPECT_ENTRY(&lab, top, 3, 3, STATE_UNASSIGNED, 0, RIPAS_RAM);
	expect_learns(0, top, RSI_ACCEPT);
}

/* A page that the realm gives back: EMPTY while it is still there, then taken away. */
static void given_back(void)
{
	uint64_t ipa = AREA + PAGE;

	EXPECT(realm_unknown(&lab, ipa), RMI_SUCCESS);
	EXPECT_TRUE(answered(&lab, 0, OP_STORE, ipa, STORE_X, JUNK));
	EXPECT(exit_gpr(&lab, R_COUNT), 0);
	expect_asks(ipa, ipa + PAGE, RIPAS_EMPTY, RSI_CHANGE_DESTROYED);
	EXPECT(set(ipa, ipa + PAGE), RMI_SUCCESS);
	EXPECT_ENTRY(&lab, ipa, 3, 3, STATE_ASSIGNED, lab.page[lab.pages - 1].pa, RIPAS_EMPTY);
	expect_learns(0, ipa + PAGE, RSI_ACCEPT);
	EXPECT_TRUE(answered(&lab, 0, OP_LOAD, ipa, LOAD_X));
	EXPECT(exit_gpr(&lab, R_COUNT), 1);
	EXPECT(rmi(RMI_DATA_DESTROY, lab.rd, ipa).status, RMI_SUCCESS);
	EXPECT_TRUE(realm_forget_page(&lab, ipa));
	EXPECT_ENTRY(&lab, ipa, 3, 3, STATE_UNASSIGNED, 0, RIPAS_EMPTY);
}

/* What the host destroyed becomes RAM only if the realm says that it does not mind. */
static void destroyed(void)
{
	uint64_t ipa = AREA + 2 * PAGE;

	EXPECT(realm_unknown(&lab, ipa), RMI_SUCCESS);
	EXPECT(rmi(RMI_DATA_DESTROY, lab.rd, ipa).status, RMI_SUCCESS);
	EXPECT_TRUE(realm_forget_page(&lab, ipa));
	expect_asks(ipa, ipa + PAGE, RIPAS_RAM, 0);
	EXPECT(set(ipa, ipa + PAGE), RMI_ERROR_RTT(3));
	expect_learns(0, ipa, RSI_ACCEPT);
	EXPECT_ENTRY(&lab, ipa, 3, 3, STATE_UNASSIGNED, 0, RIPAS_DESTROYED);
	expect_asks(ipa, ipa + PAGE, RIPAS_RAM, RSI_CHANGE_DESTROYED);
	EXPECT(set(ipa, ipa + PAGE), RMI_SUCCESS);
	expect_learns(0, ipa + PAGE, RSI_ACCEPT);
	EXPECT_ENTRY(&lab, ipa, 3, 3, STATE_UNASSIGNED, 0, RIPAS_RAM);
}

const struct check checks_ripas[] = {
	CHECK(refused, "RSI_IPA_STATE_SET: wrong ranges and states are refused"),
	CHECK(not_asked, "RTT_SET_RIPAS: not what the realm did not ask for"),
	CHECK(accepted, "RSI_IPA_STATE_SET: accepted as a whole"),
	CHECK(partly, "RSI_IPA_STATE_SET: a part of it"),
	CHECK(rejected, "RSI_IPA_STATE_SET: rejected"),
	CHECK(wrong_set, "RTT_SET_RIPAS: other ranges, realms and RECs are refused"),
	CHECK(table_needed, "RTT_SET_RIPAS: an entry that is too big tells its level"),
	CHECK(given_back, "RTT_SET_RIPAS: EMPTY, while the page is still there"),
	CHECK(destroyed, "RTT_SET_RIPAS: DESTROYED only if the realm allows it"),
	CHECKS_END,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* A4.2, A4.3, B4.3: REC_ENTER, its conditions, and RSI_HOST_CALL. */
#include "checks.h"

static void wrong_granules(void)
{
	uint64_t rec = lab.rec[0].pa, hidden = page_delegated();

	page_fill(lab.run, 0);
	EXPECT(rmi(RMI_REC_ENTER, rec + 8, lab.run).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_ENTER, lab.rd, lab.run).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_ENTER, hidden, lab.run).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_ENTER, lab.run, lab.run).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_ENTER, rec, lab.run + 8).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_ENTER, rec, hidden).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_ENTER, rec, rec).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_ENTER, rec, 0x40100000).status, RMI_ERROR_INPUT);
	EXPECT_TRUE(page_release(hidden));
}

static void not_runnable(void)
{
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 1), RMI_ERROR_REC);
}

static void no_access_to_emulate(void)
{
	page_fill(lab.run, 0);
	run_page(&lab)->enter.flags = ENTER_EMUL_MMIO;
	EXPECT(enter(&lab, 0), RMI_ERROR_REC);
}

static void gic_inputs(void)
{
	static const unsigned int reserved[] = { 0, 8, 10, 11, 12, 13, 15, 27, 31, 32, 63 };
	struct rec_run *run = run_page(&lab);
	unsigned int i;

	for (i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		page_fill(lab.run, 0);
		run->enter.gicv3_hcr = BIT(reserved[i]);
		EXPECT(enter(&lab, 0), RMI_ERROR_REC);
	}
	for (i = 0; i < FEATURE_LRS(features()); i++) {
		page_fill(lab.run, 0);
		run->enter.gicv3_lrs[i] = LR_PENDING(40) | LR_HW | UINT64_C(40) << 32;
		EXPECT(enter(&lab, 0), RMI_ERROR_REC);
	}
}

static void first_entry(void)
{
	unsigned int i;

	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_HOST_CALL);
	EXPECT(run_page(&lab)->exit.imm, OP_HELLO);
	EXPECT(exit_gpr(&lab, 1) & 0xffffff, 0);
	EXPECT(exit_gpr(&lab, 1) >> 31 & 1, 1);
	for (i = 0; i < 8; i++)
		EXPECT(exit_gpr(&lab, 2 + i), START_GPR(i));
}

static void fields_zero(void)
{
	const struct rec_run *run;
	unsigned int i;

	/* The exit page is junk before. */
	EXPECT_TRUE(answered(&lab, 0, OP_SPIN, 1));
	page_fill(lab.run, 0);
	for (i = 0x100; i < 0x200; i++)
		page_words(lab.run)[i] = JUNK;
	run_page(&lab)->enter.gprs[0] = OP_SPIN;
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	run = run_page(&lab);
	EXPECT(run->exit.reason, EXIT_HOST_CALL);
	EXPECT(run->exit.imm, OP_SPIN);
	EXPECT(run->exit.esr, 0);
	EXPECT(run->exit.far, 0);
	EXPECT(run->exit.hpfar, 0);
	EXPECT(run->exit.ripas_base, 0);
	EXPECT(run->exit.ripas_top, 0);
	EXPECT(run->exit.ripas_value, 0);
	EXPECT(run->exit.gicv3_hcr, 0);
	EXPECT(run->exit.cntv_ctl & 1, 0);
	EXPECT(run->exit.cntp_ctl & 1, 0);
	EXPECT(run->exit.pmu_ovf_status, 0);
	for (i = 0; i < LRS; i++)
		EXPECT(LR_STATE(run->exit.gicv3_lrs[i]), 0);
}

static void all_registers(void)
{
	struct rec_run *run = run_page(&lab);
	unsigned int i;

	page_fill(lab.run, 0);
	run->enter.gprs[0] = OP_INVERT;
	for (i = 1; i < 31; i++)
		run->enter.gprs[i] = START_GPR(i) ^ JUNK;
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_HOST_CALL);
	EXPECT(run->exit.imm, OP_INVERT);
	for (i = 1; i < 31; i++)
		EXPECT(run->exit.gprs[i], ~(START_GPR(i) ^ JUNK));
}

static void host_call_refused(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_HOST_CALL, UNMEASURED_IPA + 8));
	EXPECT(exit_gpr(&lab, 1), RSI_ERROR_INPUT);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_HOST_CALL, UNMEASURED_IPA + 0x80));
	EXPECT(exit_gpr(&lab, 1), RSI_ERROR_INPUT);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_HOST_CALL, SHARED_BASE));
	EXPECT(exit_gpr(&lab, 1), RSI_ERROR_INPUT);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_HOST_CALL, 2 * PROTECTED));
	EXPECT(exit_gpr(&lab, 1), RSI_ERROR_INPUT);
}

static void contents(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_LOAD, UNMEASURED_IPA, LOAD_X));
	EXPECT(exit_gpr(&lab, 1), UNMEASURED_VALUE);
	EXPECT_TRUE(answered(&lab, 0, OP_LOAD, UNMEASURED_IPA + PAGE - 8, LOAD_X));
	EXPECT(exit_gpr(&lab, 1), UNMEASURED_VALUE + PAGE / 8 - 1);
}

const struct check checks_enter[] = {
	CHECK(wrong_granules, "REC_ENTER: wrong granules are refused"),
	CHECK(not_runnable, "REC_ENTER: not a REC that is off"),
	CHECK(no_access_to_emulate, "REC_ENTER: nothing to emulate"),
	CHECK(gic_inputs, "REC_ENTER: reserved bits for the interrupt controller are refused"),
	CHECK(first_entry, "REC_ENTER: the realm starts with the registers of its parameters"),
	CHECK(fields_zero, "REC_ENTER: fields without a meaning for the exit are zero"),
	CHECK(all_registers, "RSI_HOST_CALL: number and registers both ways"),
	CHECK(host_call_refused, "RSI_HOST_CALL: wrong addresses are refused"),
	CHECK(contents, "DATA_CREATE: the realm sees what was copied"),
	CHECKS_END,
};

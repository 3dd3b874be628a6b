/* SPDX-License-Identifier: Apache-2.0 */
/* A6.1, A6.2: virtual interrupts, timers, interrupts of the host. */
#include "checks.h"

#include "state.h"

#define HCR_UIE   BIT(1)
#define LOOPS     UINT64_C(4000000)
#define SOON      UINT64_C(50000) /* ticks */

/* Answer with an operation, and list registers. */
static void ask_with(const uint64_t *lrs, unsigned int count, uint64_t op, uint64_t a, uint64_t b)
{
	struct rec_run *run = run_page(&lab);
	unsigned int i;

	page_fill(lab.run, 0);
	for (i = 0; i < count; i++)
		run->enter.gicv3_lrs[i] = lrs[i];
	run->enter.gprs[0] = op;
	run->enter.gprs[1] = a;
	run->enter.gprs[2] = b;
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_HOST_CALL);
	EXPECT(run->exit.imm, op);
}

static void injected(void)
{
	uint64_t lr = LR_PENDING(40);

	EXPECT_TRUE(answered(&lab, 0, OP_GIC_ON));
	ask_with(&lr, 1, OP_IRQ, 1000, 1);
	EXPECT(exit_gpr(&lab, R_IRQS), 1);
	EXPECT(exit_gpr(&lab, R_IRQ), 40);
	EXPECT(LR_STATE(run_page(&lab)->exit.gicv3_lrs[0]), 0);
	EXPECT_TRUE(answered(&lab, 0, OP_IRQ, 1000, 1));
	EXPECT(exit_gpr(&lab, R_IRQS), 0);
}

static void kept_pending(void)
{
	uint64_t lr = LR_PENDING(41);

	ask_with(&lr, 1, OP_SPIN, 10, 0);
	EXPECT(run_page(&lab)->exit.gicv3_lrs[0], lr);
}

static void kept_active(void)
{
	uint64_t lr = LR_PENDING(42);

	ask_with(&lr, 1, OP_IRQ, 1000, 0);
	EXPECT(exit_gpr(&lab, R_IRQ), 42);
	lr = run_page(&lab)->exit.gicv3_lrs[0];
	EXPECT(LR_STATE(lr), 2);
	EXPECT(lr & UINT32_MAX, 42);
	ask_with(&lr, 1, OP_EOI, 42, 0);
	EXPECT(LR_STATE(run_page(&lab)->exit.gicv3_lrs[0]), 0);
}

static void priorities(void)
{
	uint64_t lrs[2] = { LR_PENDING(43), (LR_PENDING(44) & ~(UINT64_C(0xff) << 48)) | UINT64_C(0x20) << 48 };

	if (FEATURE_LRS(features()) < 2) {
		skip_check("one list register");
		return;
	}
	ask_with(lrs, 2, OP_IRQ, 1000, 1);
	EXPECT(exit_gpr(&lab, R_IRQS), 1);
	EXPECT(exit_gpr(&lab, R_IRQ), 44);
	EXPECT(LR_STATE(run_page(&lab)->exit.gicv3_lrs[0]), 1);
	EXPECT(LR_STATE(run_page(&lab)->exit.gicv3_lrs[1]), 0);
}

static void last_register(void)
{
	uint64_t lrs[LRS] = { 0 };
	uint64_t last = FEATURE_LRS(features()) - 1;

	lrs[last] = LR_PENDING(45);
	ask_with(lrs, LRS, OP_IRQ, 1000, 1);
	EXPECT(exit_gpr(&lab, R_IRQ), 45);
	EXPECT(LR_STATE(run_page(&lab)->exit.gicv3_lrs[last]), 0);
}

/* Maintenance: "no list register in use" holds at once. */
static void maintenance(void)
{
	struct rec_run *run = run_page(&lab);

	page_fill(lab.run, 0);
	run->enter.gicv3_hcr = HCR_UIE;
	run->enter.gprs[0] = OP_SPIN;
	run->enter.gprs[1] = 1000;
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_IRQ);
	EXPECT(run->exit.gicv3_misr & 2, 2);
	EXPECT(run->exit.gicv3_hcr, HCR_UIE);
	EXPECT(run_expired ? 1 : 0, 0);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_HOST_CALL);
	EXPECT(run->exit.gicv3_misr, 0);
}

static void control_seen(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_SPIN, 1));
	/* ICH_VMCR: group 1 on, priority mask open. */
	EXPECT(run_page(&lab)->exit.gicv3_vmcr & 2, 2);
	EXPECT_NOT(run_page(&lab)->exit.gicv3_vmcr >> 24, 0);
}

static void broken_into(void)
{
	struct rec_run *run = run_page(&lab);
	unsigned int i;

	page_fill(lab.run, 0);
	run->enter.gprs[0] = OP_SPIN;
	run->enter.gprs[1] = LOOPS / 16;
	EXPECT(enter_for(&lab, 0, SOON), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_IRQ);
	EXPECT(run->exit.esr, 0);
	EXPECT(run_interrupt, 26);
	EXPECT_TRUE(run_expired);
	for (i = 0; i < 31; i++)
		EXPECT(run->exit.gprs[i], 0);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_HOST_CALL);
	EXPECT(run->exit.imm, OP_SPIN);
}

/* The realm starts a timer and waits for it. */
static void expect_timer(uint64_t physical, uint64_t id, uint64_t control_offset)
{
	struct rec_run *run = run_page(&lab);
	const uint64_t *control = &run->exit.cntp_ctl + control_offset;
	uint64_t before;

	EXPECT(ask(&lab, 0, OP_TIMER, physical, SOON, LOOPS), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_IRQ);
	EXPECT(run_expired ? 1 : 0, 0);
	EXPECT_TRUE(TIMER_FIRES(control[0]));
	EXPECT_TRUE(control[1] <= READ_SYSREG(cntpct_el0));
	EXPECT_TRUE(control[1] + 1000 * SOON >= READ_SYSREG(cntpct_el0));
	/* The host knows now: the expired timer does not end the next run before the host's own does. */
	page_fill(lab.run, 0);
	before = READ_SYSREG(cntpct_el0);
	EXPECT(enter_for(&lab, 0, 2 * SOON), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_IRQ);
	EXPECT_TRUE(run_expired);
	EXPECT_TRUE(READ_SYSREG(cntpct_el0) - before >= 2 * SOON);
	EXPECT_TRUE(TIMER_FIRES(control[0]));
	page_fill(lab.run, 0);
	run->enter.gicv3_lrs[0] = LR_PENDING(id);
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_HOST_CALL);
	EXPECT(exit_gpr(&lab, R_IRQ), id);
	EXPECT(exit_gpr(&lab, R_IRQS), 1);
	EXPECT(control[0] & 1, 0);
}

static void virtual_timer(void)
{
	expect_timer(0, 27, 2);
}

static void physical_timer(void)
{
	expect_timer(1, 30, 0);
}

/* After a masked timer was quietened, the next one is noticed again. */
static void timer_again(void)
{
	expect_timer(0, 27, 2);
	expect_timer(0, 27, 2);
}

static void counters(void)
{
	uint64_t before = READ_SYSREG(cntpct_el0), after;

	EXPECT_TRUE(answered(&lab, 0, OP_COUNTERS));
	after = READ_SYSREG(cntpct_el0);
	EXPECT_TRUE(exit_gpr(&lab, 1) >= before && exit_gpr(&lab, 1) <= after);
	EXPECT_TRUE(exit_gpr(&lab, 2) >= before && exit_gpr(&lab, 2) <= after);
	EXPECT(exit_gpr(&lab, 3), READ_SYSREG(cntfrq_el0));
}

/* The specification's table does not tell these; hosts rely on them, because a realm has no other way to its own CPUs. */
static void sgi(void)
{
	uint64_t value = UINT64_C(3) << 24 | 2;
	struct rec_run *run = run_page(&lab);

	EXPECT(ask(&lab, 0, OP_SGI, value), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_SYNC);
	EXPECT(ESR_EC(run->exit.esr), EC_SYSREG);
	/* Op0 3, Op1 0, CRn 12, CRm 11, Op2 5, a write. */
	EXPECT(run->exit.esr & 0x3ffc1f, UINT64_C(3) << 20 | 5 << 17 | 12 << 10 | 11 << 1);
	EXPECT(run->exit.gprs[0], value);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run->exit.reason, EXIT_HOST_CALL);
	EXPECT(exit_gpr(&lab, R_COUNT), 0);
}

const struct check checks_gic[] = {
	CHECK(injected, "GIC: the realm takes an injected interrupt, once"),
	CHECK(kept_pending, "GIC: what the realm did not take stays pending"),
	CHECK(kept_active, "GIC: acknowledged and not ended is active, across an exit"),
	CHECK(priorities, "GIC: the higher priority first"),
	CHECK(last_register, "GIC: the last list register works"),
	CHECK(maintenance, "GIC: a maintenance interrupt ends the run"),
	CHECK(control_seen, "GIC: the host sees the realm's control fields"),
	CHECK(broken_into, "IRQ: the host's timer ends the run of a busy realm"),
	CHECK(virtual_timer, "Timer: the virtual timer ends the run, is masked then, arrives"),
	CHECK(physical_timer, "Timer: the physical timer too"),
	CHECK(timer_again, "Timer: and again"),
	CHECK(counters, "Timer: counters without offset"),
	CHECK(sgi, "GIC: a software-generated interrupt is the host's to deliver"),
	CHECKS_END,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* B6, B4.3: PSCI of the realm, PSCI_COMPLETE. */
#include "checks.h"

#define X(n) exit_gpr(&lab, 1 + (n))
#define CONTEXT UINT64_C(0xc0ffee)

static void version(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, PSCI_VERSION));
	EXPECT(X(0) >> 16, 1);
	EXPECT_TRUE((X(0) & 0xffff) >= 1);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, SMCCC_VERSION));
	EXPECT_TRUE(X(0) >= 0x10001 && X(0) >> 31 == 0);
}

static void feature_query(void)
{
	static const uint64_t known[] = { SMCCC_VERSION, PSCI_VERSION, PSCI_CPU_OFF, PSCI_SYSTEM_OFF,
					  PSCI_SYSTEM_RESET, PSCI_FEATURES, PSCI_CPU_SUSPEND, PSCI_CPU_ON,
					  PSCI_AFFINITY_INFO };
	static const uint64_t unknown[] = { 0x84000005U, 0x84000006U, 0xC400000EU, 0x8400ffffU };
	unsigned int i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		EXPECT_TRUE(answered(&lab, 0, OP_SMC, PSCI_FEATURES, known[i]));
		EXPECT(X(0), 0);
	}
	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		EXPECT_TRUE(answered(&lab, 0, OP_SMC, PSCI_FEATURES, unknown[i]));
		EXPECT(X(0), NOT_SUPPORTED);
	}
}

/* Answered by the RMM, without the host. */
static void cpu_on_refused(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, PSCI_CPU_ON, 1, SHARED_BASE, 0));
	EXPECT(X(0), PSCI_INVALID_ADDRESS);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, PSCI_CPU_ON, 2, IMAGE_BASE, 0));
	EXPECT(X(0), PSCI_INVALID_PARAMETERS);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, PSCI_CPU_ON, BIT(8), IMAGE_BASE, 0));
	EXPECT(X(0), PSCI_INVALID_PARAMETERS);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, PSCI_CPU_ON, 0, IMAGE_BASE, 0));
	EXPECT(X(0), PSCI_ALREADY_ON);
}

/* REC `rec` calls; the exit must show that to the host. */
static void expect_forwarded(unsigned int rec, uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
	EXPECT(ask(&lab, rec, OP_SMC, function, a, b, c), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_PSCI);
	EXPECT(exit_gpr(&lab, 0), function);
	EXPECT(exit_gpr(&lab, 1), a);
	EXPECT(exit_gpr(&lab, 2), b);
	EXPECT(exit_gpr(&lab, 3), c);
	EXPECT(exit_gpr(&lab, 4), 0);
}

static uint64_t complete(uint64_t caller, uint64_t target, uint64_t status)
{
	return rmi(RMI_PSCI_COMPLETE, caller, target, status).status;
}

static void expect_result(unsigned int rec, uint64_t result)
{
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, rec), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_HOST_CALL);
	EXPECT(X(0), result);
}

static void nothing_to_complete(void)
{
	EXPECT(complete(lab.rec[0].pa, lab.rec[1].pa, 0), RMI_ERROR_INPUT);
}

static void denied(void)
{
	expect_forwarded(0, PSCI_CPU_ON, 1, IMAGE_BASE, CONTEXT);
	EXPECT(complete(lab.rec[0].pa, lab.rec[1].pa, PSCI_DENIED), RMI_SUCCESS);
	expect_result(0, PSCI_DENIED);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 1), RMI_ERROR_REC);
}

static void cpu_on(void)
{
	uint64_t caller = lab.rec[0].pa, target = lab.rec[1].pa;
	unsigned int i;

	expect_forwarded(0, PSCI_CPU_ON, 1, IMAGE_BASE, CONTEXT);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_ERROR_REC);
	EXPECT(complete(caller, caller, 0), RMI_ERROR_INPUT);
	EXPECT(complete(target, caller, 0), RMI_ERROR_INPUT);
	EXPECT(complete(caller, lab.rd, 0), RMI_ERROR_INPUT);
	EXPECT(complete(lab.rd, target, 0), RMI_ERROR_INPUT);
	EXPECT(complete(caller + 8, target, 0), RMI_ERROR_INPUT);
	EXPECT(complete(caller, target, 1), RMI_ERROR_INPUT);
	EXPECT(complete(caller, target, PSCI_ALREADY_ON), RMI_ERROR_INPUT);
	EXPECT(complete(caller, target, 0), RMI_SUCCESS);
	EXPECT(complete(caller, target, 0), RMI_ERROR_INPUT);
	expect_result(0, 0);
	for (i = 1; i < 4; i++)
		EXPECT(X(i), 0);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 1), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.imm, OP_HELLO);
	EXPECT(exit_gpr(&lab, 1) & 0xffffff, 1);
	EXPECT(exit_gpr(&lab, 2), CONTEXT);
	for (i = 3; i < 10; i++)
		EXPECT(exit_gpr(&lab, i), 0);
}

/* An RMM may know without asking the host. */
static void already_on(void)
{
	EXPECT(ask(&lab, 0, OP_SMC, PSCI_CPU_ON, 1, IMAGE_BASE, 0), RMI_SUCCESS);
	if (run_page(&lab)->exit.reason == EXIT_PSCI) {
		EXPECT(complete(lab.rec[0].pa, lab.rec[1].pa, PSCI_DENIED), RMI_ERROR_INPUT);
		EXPECT(complete(lab.rec[0].pa, lab.rec[1].pa, 0), RMI_SUCCESS);
		page_fill(lab.run, 0);
		EXPECT(enter(&lab, 0), RMI_SUCCESS);
	}
	EXPECT(run_page(&lab)->exit.reason, EXIT_HOST_CALL);
	EXPECT(X(0), PSCI_ALREADY_ON);
}

static void affinity(uint64_t wanted)
{
	expect_forwarded(0, PSCI_AFFINITY_INFO, 1, 0, 0);
	EXPECT(complete(lab.rec[0].pa, lab.rec[1].pa, PSCI_DENIED), RMI_ERROR_INPUT);
	EXPECT(complete(lab.rec[0].pa, lab.rec[1].pa, 0), RMI_SUCCESS);
	expect_result(0, wanted);
}

static void affinity_on(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, PSCI_AFFINITY_INFO, 7, 0));
	EXPECT(X(0), PSCI_INVALID_PARAMETERS);
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, PSCI_AFFINITY_INFO, 1, 1));
	EXPECT(X(0), PSCI_INVALID_PARAMETERS);
	affinity(0);
}

static void suspend(void)
{
	EXPECT(ask(&lab, 0, OP_SMC, PSCI_CPU_SUSPEND, 0, IMAGE_BASE, 0), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_PSCI);
	EXPECT(exit_gpr(&lab, 0), PSCI_CPU_SUSPEND);
	expect_result(0, 0);
}

static void cpu_off_and_on(void)
{
	expect_forwarded(1, PSCI_CPU_OFF, 0, 0, 0);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 1), RMI_ERROR_REC);
	affinity(1);
	expect_forwarded(0, PSCI_CPU_ON, 1, IMAGE_BASE, CONTEXT + 1);
	EXPECT(complete(lab.rec[0].pa, lab.rec[1].pa, 0), RMI_SUCCESS);
	expect_result(0, 0);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 1), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.imm, OP_HELLO);
	EXPECT(exit_gpr(&lab, 2), CONTEXT + 1);
}

static void system_off(void)
{
	expect_forwarded(1, PSCI_SYSTEM_OFF, 0, 0, 0);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 1), RMI_ERROR_REALM(1));
	EXPECT(enter(&lab, 0), RMI_ERROR_REALM(1));
	EXPECT(rmi(RMI_REALM_ACTIVATE, lab.rd).status, RMI_ERROR_REALM(0));
}

const struct check checks_psci[] = {
	CHECK(version, "PSCI: versions"),
	CHECK(feature_query, "PSCI_FEATURES: what there is, and what is not"),
	CHECK(cpu_on_refused, "CPU_ON: wrong CPUs and addresses are refused"),
	CHECK(nothing_to_complete, "PSCI_COMPLETE: nothing to complete"),
	CHECK(denied, "CPU_ON: the host denies it"),
	CHECK(cpu_on, "CPU_ON: a second CPU; PSCI_COMPLETE refuses what is wrong"),
	CHECK(already_on, "CPU_ON: of a CPU that is on; the host cannot deny that"),
	CHECK(affinity_on, "AFFINITY_INFO: on, and wrong questions"),
	CHECK(suspend, "CPU_SUSPEND: ends the run, then goes on"),
	CHECK(cpu_off_and_on, "CPU_OFF: off, told so, and on again"),
	CHECKS_END,
};

/* The realm does not run any more. */
const struct check checks_off[] = {
	CHECK(system_off, "SYSTEM_OFF: no CPU of the realm runs any more"),
	CHECKS_END,
};

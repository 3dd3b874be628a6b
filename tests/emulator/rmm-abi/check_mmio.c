/* SPDX-License-Identifier: Apache-2.0 */
/* A4.3.4, A4.3.5: accesses that the host emulates. */
#include "checks.h"

#define DEVICE (DEVICE_BASE + 0x124)

/* The realm's access ends its run: an emulatable data abort of 2^`sas` bytes. */
static void expect_access(uint64_t address, uint64_t sas, bool write)
{
	const struct rec_run *run = run_page(&lab);

	EXPECT(run->exit.reason, EXIT_SYNC);
	EXPECT(ESR_EC(run->exit.esr), EC_DATA_LOWER);
	EXPECT(ESR_FSC(run->exit.esr), FSC_TRANSLATION(1));
	EXPECT(run->exit.esr & ESR_ISV, ESR_ISV);
	EXPECT(ESR_SAS(run->exit.esr), sas);
	EXPECT(run->exit.esr & ESR_WNR, write ? ESR_WNR : 0);
	EXPECT(run->exit.hpfar, address >> 12 << 4);
	EXPECT(run->exit.far, address & (PAGE - 1));
}

/* Which register, and whether it is signed, is no business of the host. */
static void expect_hidden(bool write)
{
	const struct rec_run *run = run_page(&lab);
	unsigned int i;

	EXPECT(run->exit.esr & (BIT(21) | UINT64_C(0x1f) << 16 | BIT(14)), 0);
	/* A4.3.4.3 does not list the instruction's length here. */
	EXPECT(run->exit.esr & ESR_IL, 0);
	for (i = write ? 1 : 0; i < 31; i++)
		EXPECT(run->exit.gprs[i], 0);
}

static void emulate(uint64_t value)
{
	page_fill(lab.run, 0);
	run_page(&lab)->enter.flags = ENTER_EMUL_MMIO;
	run_page(&lab)->enter.gprs[0] = value;
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_HOST_CALL);
	EXPECT(exit_gpr(&lab, R_COUNT), 0);
}

static void expect_read(uint64_t kind, uint64_t sas, uint64_t given, uint64_t wanted)
{
	EXPECT(ask(&lab, 0, OP_LOAD, DEVICE, kind), RMI_SUCCESS);
	expect_access(DEVICE, sas, false);
	expect_hidden(false);
	emulate(given);
	EXPECT(exit_gpr(&lab, 1), wanted);
}

static void reads(void)
{
	expect_read(LOAD_B, 0, 0x81, 0x81);
	expect_read(LOAD_H, 1, 0x8182, 0x8182);
	expect_read(LOAD_W, 2, 0x81828384, 0x81828384);
	expect_read(LOAD_X, 3, UINT64_C(0x8182838485868788), UINT64_C(0x8182838485868788));
}

static void reads_cut(void)
{
	expect_read(LOAD_B, 0, ~UINT64_C(0xff) | 0x41, 0x41);
	expect_read(LOAD_H, 1, ~UINT64_C(0xffff) | 0x4142, 0x4142);
	expect_read(LOAD_W, 2, ~UINT64_C(0xffffffff) | 0x41424344, 0x41424344);
}

static void reads_signed(void)
{
	expect_read(LOAD_SBX, 0, 0x80, (uint64_t)INT8_MIN);
	expect_read(LOAD_SBX, 0, 0x7f, 0x7f);
	expect_read(LOAD_SHX, 1, 0x8000, (uint64_t)INT16_MIN);
	expect_read(LOAD_SWX, 2, 0x80000000, (uint64_t)INT32_MIN);
	expect_read(LOAD_SBW, 0, 0x80, 0xffffff80);
	expect_read(LOAD_SHW, 1, 0x8000, 0xffff8000);
}

static void read_nowhere(void)
{
	expect_read(LOAD_ZR, 2, 0x1234, ~UINT64_C(0));
}

static void expect_write(uint64_t kind, uint64_t sas, uint64_t given, uint64_t wanted)
{
	EXPECT(ask(&lab, 0, OP_STORE, DEVICE, kind, given), RMI_SUCCESS);
	expect_access(DEVICE, sas, true);
	expect_hidden(true);
	EXPECT(exit_gpr(&lab, 0), wanted);
	emulate(JUNK);
}

static void writes(void)
{
	expect_write(STORE_B, 0, UINT64_C(0x1122334455667788), 0x88);
	expect_write(STORE_H, 1, UINT64_C(0x1122334455667788), 0x7788);
	expect_write(STORE_W, 2, UINT64_C(0x1122334455667788), 0x55667788);
	expect_write(STORE_X, 3, UINT64_C(0x1122334455667788), UINT64_C(0x1122334455667788));
	expect_write(STORE_ZR, 3, 1, 0);
}

/* Without an answer the access is made again; with a page there by then, it succeeds. */
static void repeated(void)
{
	uint64_t page = page_normal(), ipa = SHARED_BASE + 7 * PAGE;

	EXPECT(ask(&lab, 0, OP_LOAD, ipa, LOAD_X), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_SYNC);
	EXPECT(ESR_FSC(run_page(&lab)->exit.esr), FSC_TRANSLATION(3));
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_SYNC);
	EXPECT(run_page(&lab)->exit.hpfar, ipa >> 12 << 4);
	page_fill(page, UINT64_C(0xabcdef));
	EXPECT(rmi(RMI_RTT_MAP_UNPROTECTED, lab.rd, ipa, 3, page | 6 << 2 | 3 << 6).status, RMI_SUCCESS);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_HOST_CALL);
	EXPECT(exit_gpr(&lab, 1), UINT64_C(0xabcdef));
	EXPECT_TRUE(answered(&lab, 0, OP_STORE, ipa, STORE_X, UINT64_C(0xfedcba)));
	EXPECT(exit_gpr(&lab, R_COUNT), 0);
	EXPECT(page_words(page)[0], UINT64_C(0xfedcba));
	EXPECT(rmi(RMI_RTT_UNMAP_UNPROTECTED, lab.rd, ipa, 3).status, RMI_SUCCESS);
	EXPECT(ask(&lab, 0, OP_LOAD, ipa, LOAD_X), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_SYNC);
	emulate(5);
	EXPECT(exit_gpr(&lab, 1), 5);
	EXPECT_TRUE(page_release(page));
}

static void injected(void)
{
	EXPECT(ask(&lab, 0, OP_LOAD, DEVICE, LOAD_W), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_SYNC);
	page_fill(lab.run, 0);
	run_page(&lab)->enter.flags = ENTER_INJECT_SEA;
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_HOST_CALL);
	EXPECT(exit_gpr(&lab, R_COUNT), 1);
	EXPECT(ESR_EC(exit_gpr(&lab, R_ESR)), EC_DATA_SAME);
	EXPECT(ESR_FSC(exit_gpr(&lab, R_ESR)), FSC_EXTERNAL);
	EXPECT(exit_gpr(&lab, R_ESR) & ESR_EA, ESR_EA);
	EXPECT(exit_gpr(&lab, R_FAR), DEVICE);
	EXPECT(exit_gpr(&lab, 1), ~UINT64_C(0));
}

/* A pair has no syndrome: nothing to emulate, but an abort can be injected. */
static void pair(void)
{
	EXPECT(ask(&lab, 0, OP_LOAD, DEVICE_BASE, LOAD_PAIR), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_SYNC);
	EXPECT(ESR_EC(run_page(&lab)->exit.esr), EC_DATA_LOWER);
	EXPECT(run_page(&lab)->exit.esr & (ESR_ISV | ESR_IL), 0);
	EXPECT(run_page(&lab)->exit.hpfar, DEVICE_BASE >> 12 << 4);
	page_fill(lab.run, 0);
	run_page(&lab)->enter.flags = ENTER_EMUL_MMIO;
	EXPECT(enter(&lab, 0), RMI_ERROR_REC);
	page_fill(lab.run, 0);
	run_page(&lab)->enter.flags = ENTER_INJECT_SEA;
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_HOST_CALL);
	EXPECT(ESR_FSC(exit_gpr(&lab, R_ESR)), FSC_EXTERNAL);
}

const struct check checks_mmio[] = {
	CHECK(reads, "MMIO: reads of 1, 2, 4 and 8 bytes"),
	CHECK(reads_cut, "MMIO: more bits than were asked for do not arrive"),
	CHECK(reads_signed, "MMIO: signed reads"),
	CHECK(read_nowhere, "MMIO: a read into no register"),
	CHECK(writes, "MMIO: writes of 1, 2, 4 and 8 bytes"),
	CHECK(repeated, "MMIO: without an answer the access is repeated, shared memory is used"),
	CHECK(injected, "MMIO: the host injects an external abort"),
	CHECK(pair, "MMIO: an access without syndrome is not emulatable"),
	CHECKS_END,
};

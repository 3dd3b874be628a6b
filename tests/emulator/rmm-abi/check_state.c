/* SPDX-License-Identifier: Apache-2.0 */
/* A4: what the host and each REC have of a CPU stays apart. */
#include "checks.h"

#include "console.h"
#include "state.h"

#define HOST_PATTERN  UINT64_C(0x00c5a5a5a5800010)
#define FIRST_REALM   UINT64_C(0x0012345678400005)
#define SECOND_REALM  UINT64_C(0x0076543210c0000a)
#define TIMER_MASKED  UINT64_C(3) /* enabled, but silent */

/* Beside what a realm can write (state.h). */
#define STATE_HOST(X)                                                                                          \
	STATE_COMMON(X) STATE_KEYS(X) X(sp_el1) X(vbar_el1) X(sctlr_el1) X(cpacr_el1) X(mdscr_el1) X(cntv_cval_el0)          \
	X(cntp_cval_el0)
#define COUNT(name) +1
#define SET(name) WRITE_SYSREG(name, HOST_PATTERN + index * 0x10); index++;
#define GET(name) values[index++] = READ_SYSREG(name);
#define NAME(name) #name,
#define REGISTERS (0 STATE_HOST(COUNT))

static const char *const names[] = { STATE_HOST(NAME) };

static void get_registers(uint64_t *values)
{
	unsigned int index = 0;

	STATE_HOST(GET)
}

/* Some bits of some registers do not exist: what can be read back is what is to be kept. */
static void set_registers(uint64_t *values)
{
	unsigned int index = 0;

	STATE_HOST(SET)
	WRITE_SYSREG(cntv_ctl_el0, TIMER_MASKED);
	WRITE_SYSREG(cntp_ctl_el0, TIMER_MASKED);
	__asm__ volatile("isb");
	get_registers(values);
}

static void expect_registers(const uint64_t *wanted)
{
	uint64_t now[REGISTERS];
	unsigned int i;

	get_registers(now);
	for (i = 0; i < REGISTERS; i++) {
		if (!EXPECT(now[i], wanted[i])) {
			print_text("# which is ");
			print_text(names[i]);
			print_text("\n");
		}
	}
	EXPECT(READ_SYSREG(cntv_ctl_el0) & 3, TIMER_MASKED);
	EXPECT(READ_SYSREG(cntp_ctl_el0) & 3, TIMER_MASKED);
}

static void quiet_timers(void)
{
	WRITE_SYSREG(cntv_ctl_el0, 0);
	WRITE_SYSREG(cntp_ctl_el0, 0);
}

static void host_registers(void)
{
	uint64_t before[REGISTERS], pmr = READ_SYSREG(s3_0_c4_c6_0), group = READ_SYSREG(s3_0_c12_c12_7);

	set_registers(before);
	fp_set(HOST_PATTERN);
	EXPECT_TRUE(answered(&lab, 0, OP_SET_STATE, FIRST_REALM));
	EXPECT(fp_differences(HOST_PATTERN), 0);
	expect_registers(before);
	EXPECT_TRUE(answered(&lab, 1, OP_SET_STATE, SECOND_REALM));
	EXPECT(fp_differences(HOST_PATTERN), 0);
	expect_registers(before);
	EXPECT(READ_SYSREG(s3_0_c4_c6_0), pmr);
	EXPECT(READ_SYSREG(s3_0_c12_c12_7), group);
	quiet_timers();
}

static void realm_registers(void)
{
	uint64_t before[REGISTERS];

	set_registers(before);
	fp_set(~HOST_PATTERN);
	EXPECT_TRUE(answered(&lab, 0, OP_GET_STATE, FIRST_REALM));
	EXPECT(exit_gpr(&lab, 1), 0);
	EXPECT(exit_gpr(&lab, 2), 0);
	EXPECT_TRUE(answered(&lab, 1, OP_GET_STATE, SECOND_REALM));
	EXPECT(exit_gpr(&lab, 1), 0);
	EXPECT(exit_gpr(&lab, 2), 0);
	EXPECT_TRUE(answered(&lab, 0, OP_GET_STATE, FIRST_REALM));
	EXPECT(exit_gpr(&lab, 1), 0);
	EXPECT(exit_gpr(&lab, 2), 0);
	expect_registers(before);
	quiet_timers();
}

/* The same over other exits than a host call: an emulated access, an interrupt, a fault. */
static void other_exits(void)
{
	uint64_t before[REGISTERS];

	set_registers(before);
	fp_set(HOST_PATTERN);
	EXPECT(ask(&lab, 0, OP_LOAD, DEVICE_BASE, LOAD_W), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_SYNC);
	EXPECT(fp_differences(HOST_PATTERN), 0);
	expect_registers(before);
	page_fill(lab.run, 0);
	run_page(&lab)->enter.flags = ENTER_EMUL_MMIO;
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(ask(&lab, 0, OP_SPIN, 1000000), RMI_SUCCESS);
	while (run_page(&lab)->exit.reason == EXIT_IRQ && !run_expired)
		EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(fp_differences(HOST_PATTERN), 0);
	expect_registers(before);
	quiet_timers();
	EXPECT_TRUE(answered(&lab, 0, OP_GET_STATE, FIRST_REALM));
	EXPECT(exit_gpr(&lab, 1), 0);
}

static void general_registers(void)
{
	uint64_t registers[18];
	unsigned int i;

	page_fill(lab.run, 0);
	run_page(&lab)->enter.gprs[0] = OP_SPIN;
	for (i = 0; i < 18; i++)
		registers[i] = START_GPR(i);
	registers[0] = RMI_REC_ENTER;
	registers[1] = lab.rec[0].pa;
	registers[2] = lab.run;
	host_smc(registers);
	EXPECT(registers[0], RMI_SUCCESS);
	for (i = 5; i < 18; i++)
		EXPECT(registers[i], START_GPR(i));
}

static uint64_t asked(unsigned int rec, uint64_t operation, uint64_t first, uint64_t second)
{
	EXPECT_TRUE(answered(&lab, rec, operation, first, second));
	return exit_gpr(&lab, 1);
}

/* ID_AA64ISAR1_EL1: APA, API; ID_AA64ISAR2_EL1: APA3. */
static bool realm_signs(void)
{
	return (asked(0, OP_SYSREG, SYSREG_ISAR1, 0) & 0xff0) != 0 || (asked(0, OP_SYSREG, SYSREG_ISAR2, 0) & 0xf000) != 0;
}

/* A pointer that one REC signs is good there, after all that has come in between, and nowhere else. */
static void signed_pointers(void)
{
	uint64_t first, second, pointer = IMAGE_BASE + 0x120;

	if (!realm_signs()) {
		skip_check("no pointer authentication for realms");
		return;
	}
	EXPECT_TRUE(answered(&lab, 0, OP_KEY, FIRST_REALM, HOST_PATTERN));
	EXPECT(exit_gpr(&lab, R_COUNT), 0);
	EXPECT_TRUE(answered(&lab, 1, OP_KEY, SECOND_REALM, HOST_PATTERN));
	EXPECT(exit_gpr(&lab, R_COUNT), 0);
	first = asked(0, OP_SIGN, pointer, 7);
	second = asked(1, OP_SIGN, pointer, 7);
	EXPECT_NOT(first, pointer);
	EXPECT_NOT(second, pointer);
	EXPECT_NOT(first, second);
	WRITE_SYSREG(apiakeylo_el1, 1);
	WRITE_SYSREG(apiakeyhi_el1, 2);
	EXPECT(asked(0, OP_AUTHENTICATE, first, 7), pointer);
	EXPECT(asked(1, OP_AUTHENTICATE, second, 7), pointer);
	EXPECT_NOT(asked(0, OP_AUTHENTICATE, second, 7), pointer);
	EXPECT_NOT(asked(1, OP_AUTHENTICATE, first, 7), pointer);
	EXPECT_NOT(asked(0, OP_AUTHENTICATE, first, 8), pointer);
	EXPECT(READ_SYSREG(apiakeylo_el1), 1);
	EXPECT(READ_SYSREG(apiakeyhi_el1), 2);
}

/* EL2's own: EL3 exchanges them with the world. Those by number: HFGRTR, HFGWTR, HFGITR, HDFGRTR, HDFGWTR, HCRX, CNTPOFF,
 * SCXTNUM, CONTEXTIDR, TTBR1. */
#define STATE_EL2(X)                                                                                           \
	X(amair_el2) X(mair_el2) X(elr_el2) X(spsr_el2) X(esr_el2) X(far_el2) X(hpfar_el2) X(hstr_el2)          \
	X(cntvoff_el2) X(tcr_el2) X(ttbr0_el2) X(vtcr_el2) X(vttbr_el2) X(tpidr_el2) X(vpidr_el2)               \
	X(vmpidr_el2) X(s3_4_c1_c1_4) X(s3_4_c1_c1_5) X(s3_4_c1_c1_6) X(s3_4_c3_c1_4) X(s3_4_c3_c1_5)           \
	X(s3_4_c1_c2_2) X(s3_4_c14_c0_6) X(s3_4_c13_c0_7) X(s3_4_c13_c0_1) X(s3_4_c2_c0_1)
#define EL2_REGISTERS (0 STATE_EL2(COUNT))
#define PUT(name) WRITE_SYSREG(name, values[index++]);

static const char *const el2_names[] = { STATE_EL2(NAME) };

static void get_el2(uint64_t *values)
{
	unsigned int index = 0;

	STATE_EL2(GET)
}

static void put_el2(const uint64_t *values)
{
	unsigned int index = 0;

	STATE_EL2(PUT)
	__asm__ volatile("isb");
}

static void expect_el2(const uint64_t *wanted)
{
	uint64_t now[EL2_REGISTERS];
	unsigned int i;

	get_el2(now);
	for (i = 0; i < EL2_REGISTERS; i++) {
		if (!EXPECT(now[i], wanted[i])) {
			print_text("# which is ");
			print_text(el2_names[i]);
			print_text("\n");
		}
	}
}

static void hypervisor_registers(void)
{
	uint64_t originals[EL2_REGISTERS], values[EL2_REGISTERS], page = page_normal(), registers[18];
	unsigned int index = 0, i;

	get_el2(originals);
	STATE_EL2(SET)
	__asm__ volatile("isb");
	get_el2(values);
	for (i = 0; i < 18; i++)
		registers[i] = START_GPR(i);
	registers[0] = RMI_GRANULE_DELEGATE;
	registers[1] = page;
	host_smc(registers);
	EXPECT(registers[0], RMI_SUCCESS);
	for (i = 5; i < 18; i++)
		EXPECT(registers[i], START_GPR(i));
	expect_el2(values);
	EXPECT(rmi(RMI_GRANULE_UNDELEGATE, page).status, RMI_SUCCESS);
	expect_el2(values);
	EXPECT_TRUE(answered(&lab, 0, OP_GET_STATE, FIRST_REALM));
	EXPECT(exit_gpr(&lab, 1), 0);
	expect_el2(values);
	put_el2(originals);
}

/* DATA_CREATE and REC_CREATE hash, which is where an RMM may use vector registers outside of a realm's run. */
static void hashing(void)
{
	static struct realm other;
	uint64_t before[REGISTERS], source = page_normal();

	set_registers(before);
	fp_set(HOST_PATTERN);
	EXPECT(realm_create(&other, S2SZ, 1, 1, 20), RMI_SUCCESS);
	EXPECT(realm_tables(&other, IMAGE_BASE), RMI_SUCCESS);
	EXPECT(realm_data(&other, IMAGE_BASE, source, DATA_MEASURE), RMI_SUCCESS);
	EXPECT(realm_rec(&other, 0, REC_RUNNABLE), RMI_SUCCESS);
	EXPECT(realm_destroy(&other), RMI_SUCCESS);
	EXPECT(fp_differences(HOST_PATTERN), 0);
	expect_registers(before);
	quiet_timers();
	EXPECT_TRUE(page_release(source));
}

const struct check checks_state[] = {
	CHECK(host_registers, "State: the host's registers are kept over REC_ENTER"),
	CHECK(realm_registers, "State: each REC's registers are kept over the host's and the other's"),
	CHECK(other_exits, "State: also over emulated accesses and interrupts"),
	CHECK(hypervisor_registers, "State: the host's EL2 registers are kept over calls and entries"),
	CHECK(general_registers, "State: x5 to x17 are kept over REC_ENTER"),
	CHECK(hashing, "State: the host's vector registers are kept over what is measured"),
	CHECK(signed_pointers, "State: a pointer that one REC has signed is good there and not in another"),
	CHECKS_END,
};

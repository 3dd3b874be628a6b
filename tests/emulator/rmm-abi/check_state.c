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
	CHECK(general_registers, "State: x5 to x17 are kept over REC_ENTER"),
	CHECK(hashing, "State: the host's vector registers are kept over what is measured"),
	CHECKS_END,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* The realm's side of the checks: does what the host asks for (realm_ops.h), and tells what came of it. */
#include <stdbool.h>

#include "realm_ops.h"

#include "abi.h"
#include "state.h"

struct host_call {
	uint16_t imm, pad[3];
	uint64_t gprs[31];
};
_Static_assert(sizeof(struct host_call) == 0x100, "RsiHostCall");

static struct host_call calls[REALM_CPUS] __attribute__((aligned(256)));

extern volatile uint64_t trap_esr, trap_far, trap_elr, trap_count;
static volatile uint64_t irq_last, irq_count;
static uint64_t irq_end;

void smc(uint64_t *registers);
uint64_t load(uint64_t address, uint64_t kind);
void store(uint64_t address, uint64_t kind, uint64_t value);
void execute(uint64_t address);
void bench_rsi(uint64_t id, uint64_t repetitions);
void bench_calls(uint64_t call, uint64_t repetitions);
void mark_realm(uint64_t id);
void bench_mmio(uint64_t address, uint64_t repetitions);
void take_interrupt(void);
void realm_main(uint64_t cpu, const uint64_t *start);

void take_interrupt(void)
{
	uint64_t id = READ_SYSREG(s3_0_c12_c12_0); /* ICC_IAR1_EL1 */

	irq_last = id;
	irq_count++;
	if (id == 27)
		WRITE_SYSREG(cntv_ctl_el0, 0);
	if (id == 30)
		WRITE_SYSREG(cntp_ctl_el0, 0);
	if (irq_end != 0)
		WRITE_SYSREG(s3_0_c12_c12_1, id); /* ICC_EOIR1_EL1 */
	/* One at a time: back to the interrupted code with interrupts masked. */
	WRITE_SYSREG(spsr_el1, READ_SYSREG(spsr_el1) | BIT(7));
	__asm__ volatile("isb");
}

/* Leave interrupts open until one was taken, but not for longer than told. */
static void wait_interrupt(uint64_t iterations, uint64_t end)
{
	irq_end = end;
	__asm__ volatile("msr daifclr, #2" : : : "memory");
	while (irq_count == 0 && iterations-- != 0)
		__asm__ volatile("isb" : : : "memory");
	__asm__ volatile("msr daifset, #2" : : : "memory");
}

static void start_timer(uint64_t physical, uint64_t ticks)
{
	if (physical != 0) {
		WRITE_SYSREG(cntp_cval_el0, READ_SYSREG(cntpct_el0) + ticks);
		WRITE_SYSREG(cntp_ctl_el0, 1);
	} else {
		WRITE_SYSREG(cntv_cval_el0, READ_SYSREG(cntvct_el0) + ticks);
		WRITE_SYSREG(cntv_ctl_el0, 1);
	}
	__asm__ volatile("isb");
}

static uint64_t sysreg(uint64_t number)
{
	switch (number) {
	case SYSREG_MPIDR:
		return READ_SYSREG(mpidr_el1);
	case SYSREG_PFR0:
		return READ_SYSREG(id_aa64pfr0_el1);
	case SYSREG_DFR0:
		return READ_SYSREG(id_aa64dfr0_el1);
	case SYSREG_PMCR:
		return READ_SYSREG(pmcr_el0);
	case SYSREG_ZFR0:
		return READ_SYSREG(s3_0_c0_c4_4);
	case SYSREG_PFR1:
		return READ_SYSREG(id_aa64pfr1_el1);
	case SYSREG_ISAR1:
		return READ_SYSREG(id_aa64isar1_el1);
	case SYSREG_ISAR2:
		return READ_SYSREG(s3_0_c0_c6_2);
	default:
		return READ_SYSREG(s3_0_c0_c7_7);
	}
}

#define COUNT(name) +1
#define SET(name) WRITE_SYSREG(name, pattern + index * 0x10); index++;
#define GET(name) values[index++] = READ_SYSREG(name);
#define STATE_COUNT (0 STATE_COMMON(COUNT) STATE_KEYS(COUNT))
static uint64_t state[REALM_CPUS][STATE_COUNT];

/* ID_AA64ISAR1_EL1: APA, API, GPA, GPI; ID_AA64ISAR2_EL1: GPA3, APA3. */
static bool has_keys(void)
{
	return (READ_SYSREG(id_aa64isar1_el1) & UINT64_C(0xff000ff0)) != 0 || (READ_SYSREG(s3_0_c0_c6_2) & 0xff00) != 0;
}

static void get_state(uint64_t *values)
{
	unsigned int index = 0;

	STATE_COMMON(GET)
	if (has_keys()) {
		STATE_KEYS(GET)
	}
	while (index < STATE_COUNT)
		values[index++] = 0;
}

static void set_state(uint64_t cpu, uint64_t pattern)
{
	unsigned int index = 0;

	STATE_COMMON(SET)
	if (has_keys()) {
		STATE_KEYS(SET)
	}
	fp_set(pattern);
	get_state(state[cpu]);
}

static void compare_state(uint64_t cpu, uint64_t pattern, uint64_t *result)
{
	uint64_t now[STATE_COUNT];
	unsigned int i;

	get_state(now);
	result[0] = fp_differences(pattern);
	result[1] = result[0] != 0 ? 1000 : 0;
	for (i = 0; i < STATE_COUNT; i++) {
		if (now[i] != state[cpu][i]) {
			result[0]++;
			result[1] = i;
		}
	}
}

/* Stage 1 of 39 bits with pages of 4 KiB: three levels, from 1 on. */
#define STAGE1_TCR (25 | BIT(23) | UINT64_C(2) << 32)
#define STAGE1_AF  BIT(10)
#define AS_BLOCK   (STAGE1_AF | 1)
#define AS_TABLE   3
#define AS_PAGE    (STAGE1_AF | 3)
static uint64_t stage1[3][PAGE / 8] __attribute__((aligned(4096)));

static void switch_mmu(uint64_t sctlr)
{
	__asm__ volatile("dsb sy\n\ttlbi vmalle1\n\tdsb sy\n\tisb" ::: "memory");
	WRITE_SYSREG(sctlr_el1, sctlr);
	__asm__ volatile("isb" ::: "memory");
}

static uint64_t translated(uint64_t level, uint64_t address, uint64_t as_table)
{
	uint64_t sctlr = READ_SYSREG(sctlr_el1), value;
	unsigned int i;

	/* This payload's own gigabyte is where it is. */
	stage1[0][1] = REALM_BASE | AS_BLOCK;
	stage1[0][2] = (uint64_t)stage1[1] | AS_TABLE;
	stage1[1][0] = (uint64_t)stage1[2] | AS_TABLE;
	i = level == 1 ? 2 : 0;
	stage1[level - 1][i] = address | (as_table != 0 ? AS_TABLE : level == 3 ? AS_PAGE : AS_BLOCK);
	WRITE_SYSREG(mair_el1, 0xff);
	WRITE_SYSREG(tcr_el1, STAGE1_TCR);
	WRITE_SYSREG(ttbr0_el1, (uint64_t)stage1);
	switch_mmu(sctlr | 1);
	value = load(TRANSLATED_VA, LOAD_X);
	switch_mmu(sctlr);
	return value;
}

static void touch(uint64_t address, uint64_t pages)
{
	for (; pages != 0; pages--, address += PAGE)
		store(address, STORE_X, pages);
}

#define MARK_END BIT(63)
#define SCTLR_ENIA BIT(31)

static void bench_token(uint64_t id, uint64_t page)
{
	uint64_t registers[11] = { RSI_ATTESTATION_TOKEN_INIT, id };
	uint64_t count = 0;

	mark_realm(id);
	smc(registers);
	do {
		registers[0] = RSI_ATTESTATION_TOKEN_CONTINUE;
		registers[1] = page;
		registers[2] = count % PAGE;
		registers[3] = PAGE - count % PAGE;
		smc(registers);
		count += registers[1];
	} while (registers[0] == RSI_INCOMPLETE);
	mark_realm(id | MARK_END);
}

static void bench_extend(uint64_t id, uint64_t repetitions)
{
	for (; repetitions != 0; repetitions--, id++) {
		uint64_t registers[11] = { RSI_MEASUREMENT_EXTEND, 1, 64, id };

		mark_realm(id);
		smc(registers);
		mark_realm(id | MARK_END);
	}
}

/* Pointer authentication. */
static void operate_keys(uint64_t *g)
{
	switch (g[0]) {
	case OP_KEY:
		WRITE_SYSREG(apiakeylo_el1, g[1]);
		WRITE_SYSREG(apiakeyhi_el1, g[2]);
		WRITE_SYSREG(sctlr_el1, READ_SYSREG(sctlr_el1) | SCTLR_ENIA);
		__asm__ volatile("isb");
		break;
	case OP_SIGN:
		__asm__ volatile("pacia %0, %1" : "+r"(g[1]) : "r"(g[2]));
		break;
	case OP_AUTHENTICATE:
		/* One that does not fit gives an address that is none; FEAT_FPAC raises an exception instead. */
		__asm__ volatile("autia %0, %1" : "+r"(g[1]) : "r"(g[2]));
		break;
	default:
		break;
	}
}

/* Loops that a benchmark counts. A number that is no operation does nothing. */
static void operate_bench(uint64_t cpu, uint64_t *g)
{
	switch (g[0]) {
	case OP_BENCH_RSI:
		bench_rsi(g[1], g[2]);
		break;
	case OP_BENCH_CALLS:
		bench_calls((uint64_t)&calls[cpu], g[1]);
		break;
	case OP_BENCH_MMIO:
		bench_mmio(g[1], g[2]);
		break;
	case OP_BENCH_TOKEN:
		bench_token(g[1], g[2]);
		break;
	case OP_BENCH_EXTEND:
		bench_extend(g[1], g[2]);
		break;
	default:
		operate_keys(g);
		break;
	}
}

/* Interrupts, timers and the state that a realm has to find again. */
static void operate_machine(uint64_t cpu, uint64_t *g)
{
	switch (g[0]) {
	case OP_GIC_ON:
		WRITE_SYSREG(s3_0_c4_c6_0, 0xff);  /* ICC_PMR_EL1 */
		WRITE_SYSREG(s3_0_c12_c12_7, 1);   /* ICC_IGRPEN1_EL1 */
		__asm__ volatile("isb");
		break;
	case OP_IRQ:
		wait_interrupt(g[1], g[2]);
		break;
	case OP_TIMER:
		start_timer(g[1], g[2]);
		wait_interrupt(g[3], 1);
		break;
	case OP_EOI:
		WRITE_SYSREG(s3_0_c12_c12_1, g[1]);
		__asm__ volatile("isb");
		break;
	case OP_SGI:
		WRITE_SYSREG(s3_0_c12_c11_5, g[1]); /* ICC_SGI1R_EL1 */
		break;
	case OP_SET_STATE:
		set_state(cpu, g[1]);
		break;
	case OP_GET_STATE:
		compare_state(cpu, g[1], &g[1]);
		break;
	case OP_COUNTERS:
		g[1] = READ_SYSREG(cntvct_el0);
		g[2] = READ_SYSREG(cntpct_el0);
		g[3] = READ_SYSREG(cntfrq_el0);
		break;
	default:
		operate_bench(cpu, g);
		break;
	}
}

/* Single instructions. */
static void operate_cpu(uint64_t cpu, uint64_t *g)
{
	uint64_t n;

	switch (g[0]) {
	case OP_SMC:
		smc(&g[1]);
		break;
	case OP_WFI:
		__asm__ volatile("wfi" : : : "memory");
		break;
	case OP_WFE:
		__asm__ volatile("wfe" : : : "memory");
		break;
	case OP_HVC:
		__asm__ volatile("hvc #0" : : : "memory", "x0", "x1", "x2", "x3");
		break;
	case OP_UDF:
		__asm__ volatile("udf #0" : : : "memory");
		break;
	case OP_SPIN:
		for (n = g[1]; n != 0; n--)
			__asm__ volatile("isb" : : : "memory");
		break;
	case OP_SYSREG:
		g[1] = sysreg(g[1]);
		break;
	default:
		operate_machine(cpu, g);
		break;
	}
}

static void read_words(uint64_t *g)
{
	uint64_t address = g[1];
	unsigned int i;

	for (i = 0; i < READ_WORDS; i++)
		g[1 + i] = load(address + 8 * i, LOAD_X);
}

static void operate(uint64_t cpu, uint64_t *g)
{
	unsigned int i;

	switch (g[0]) {
	case OP_INVERT:
		for (i = 1; i < 31; i++)
			g[i] = ~g[i];
		break;
	case OP_LOAD:
		g[1] = load(g[1], g[2]);
		break;
	case OP_STORE:
		store(g[1], g[2], g[3]);
		break;
	case OP_EXECUTE:
		execute(g[1]);
		break;
	case OP_READ:
		read_words(g);
		break;
	case OP_TRANSLATED:
		g[1] = translated(g[1], g[2], g[3]);
		break;
	case OP_TOUCH:
		touch(g[1], g[2]);
		break;
	default:
		operate_cpu(cpu, g);
		break;
	}
}

static void report_traps(uint64_t *g)
{
	g[R_ESR] = trap_esr;
	g[R_FAR] = trap_far;
	g[R_ELR] = trap_elr;
	g[R_COUNT] = trap_count;
	g[R_IRQ] = irq_last;
	g[R_IRQS] = irq_count;
}

static void forget_traps(void)
{
	trap_esr = 0;
	trap_far = 0;
	trap_elr = 0;
	trap_count = 0;
	irq_last = 0;
	irq_count = 0;
}

void realm_main(uint64_t cpu, const uint64_t *start)
{
	struct host_call *call = &calls[cpu];
	uint64_t *g = call->gprs, request[11] = { 0 };
	unsigned int i;

	call->imm = OP_HELLO;
	for (i = 0; i < 8; i++)
		g[2 + i] = start[i];
	g[1] = READ_SYSREG(mpidr_el1);
	for (;;) {
		request[0] = RSI_HOST_CALL;
		request[1] = (uint64_t)call;
		smc(request);
		call->imm = (uint16_t)g[0];
		forget_traps();
		operate(cpu, g);
		/* The operation that uses all registers reports no traps. */
		if (call->imm != OP_INVERT)
			report_traps(g);
	}
}

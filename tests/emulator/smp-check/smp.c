/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs that start, stop and interrupt each other as fast as they can; the last one resets the machine while all others
 * are busy. One line a check on the guest's UART, from the first vCPU. The MMU is off: no exclusives, every word of
 * memory has one writer.
 */
#include <stdbool.h>
#include <stdint.h>

#define UART       UINT64_C(0x09000000)
#define UART_FR    UINT64_C(0x18)
#define UART_FULL  (UINT32_C(1) << 5)
#define GICD       UINT64_C(0x08000000)
#define GICR(cpu)  (UINT64_C(0x080a0000) + (cpu) * UINT64_C(0x20000))

#define RSI_VERSION      UINT64_C(0xC4000190)
#define RSI_REALM_CONFIG UINT64_C(0xC4000196)
#define ABI_1_0          UINT64_C(0x10000)

#define CPU_OFF          UINT64_C(0x84000002)
#define CPU_ON           UINT64_C(0xC4000003)
#define AFFINITY_INFO    UINT64_C(0xC4000004)
#define SYSTEM_RESET     UINT64_C(0x84000009)
#define SUCCESS            0
#define INVALID_PARAMETERS (-2)
#define ALREADY_ON         (-4)

#define MAX_CPUS 8
#define ROUNDS   40U  /* starts of each vCPU */
#define PINGS    50U  /* interrupts to each and back */
#define SGI_PING 3U
#define SPURIOUS 1020U

/* What the first vCPU wants of the others when they start. */
enum { ORDER_STOP = 1, ORDER_ANSWER = 2, ORDER_RESET = 3, ORDER_CHAIN = 4 };

void first_main(void);
void other_main(uint64_t cpu, uint64_t order);
void crash(uint64_t esr, uint64_t elr);
void other(void);

/* A cache line each: written by that vCPU alone. */
struct own {
	volatile uint64_t starts, answers, ready, chained, wrong, pad[3];
};
static struct own own[MAX_CPUS] __attribute__((aligned(64)));

static struct {
	uint64_t ipa_width, rest[511];
} config __attribute__((aligned(4096)));

static volatile uint64_t devices; /* added to addresses of devices: the Unprotected half of a realm */
static volatile uint64_t cpus;

static int64_t smc(uint64_t function, uint64_t a1, uint64_t a2, uint64_t a3)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = a1;
	register uint64_t x2 __asm__("x2") = a2;
	register uint64_t x3 __asm__("x3") = a3;

	__asm__ volatile("smc #0"
			 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
			 :
			 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",
			   "memory");
	return (int64_t)x0;
}

/* ---- Output --------------------------------------------------------------------------------------------------- */

static void put(char character)
{
	volatile uint32_t *uart = (volatile uint32_t *)(devices + UART);

	while ((uart[UART_FR / 4] & UART_FULL) != 0)
		;
	*uart = (uint32_t)(unsigned char)character;
}

static void text(const char *words)
{
	for (; *words != '\0'; words++)
		put(*words);
}

static void number(uint64_t value)
{
	char digits[20];
	unsigned int count = 0;

	do
		digits[count++] = (char)('0' + value % 10);
	while ((value /= 10) != 0);
	while (count != 0)
		put(digits[--count]);
}

static void check(const char *what, uint64_t value, bool good)
{
	text(good ? "ok " : "not ok ");
	text(what);
	text(" ");
	number(value);
	text("\n");
}

void crash(uint64_t esr, uint64_t elr)
{
	text("not ok exception, syndrome ");
	number(esr);
	text(" at ");
	number(elr);
	text("\n");
	for (;;)
		(void)smc(SYSTEM_RESET, 0, 0, 0);
}

/* ---- Interrupts: never taken, always polled ----------------------------------------------------------------------- */

static void gic_set_up(uint64_t cpu)
{
	volatile uint32_t *sgi = (volatile uint32_t *)(devices + GICR(cpu) + 0x10000);
	volatile uint32_t *waker = (volatile uint32_t *)(devices + GICR(cpu) + 0x14);

	*waker = 0;
	sgi[0x80 / 4] = UINT32_MAX;      /* IGROUPR0: group 1 */
	sgi[0x100 / 4] = 1U << SGI_PING; /* ISENABLER0 */
	__asm__ volatile("msr S3_0_C12_C12_5, %0" : : "r"(UINT64_C(7)));  /* ICC_SRE_EL1 */
	__asm__ volatile("isb");
	__asm__ volatile("msr S3_0_C4_C6_0, %0" : : "r"(UINT64_C(0xf0))); /* ICC_PMR_EL1 */
	__asm__ volatile("msr S3_0_C12_C12_7, %0" : : "r"(UINT64_C(1)));  /* ICC_IGRPEN1_EL1 */
	__asm__ volatile("isb");
}

static void send(uint64_t mask)
{
	__asm__ volatile("dsb sy\n\tmsr S3_0_C12_C11_5, %0\n\tisb" : : "r"(mask | (uint64_t)SGI_PING << 24) : "memory");
}

/* Sleep until there is an interrupt, and end it; its number. */
static uint64_t take(void)
{
	uint64_t id;

	for (;;) {
		__asm__ volatile("mrs %0, S3_0_C12_C12_0\n\tdsb sy" : "=r"(id) : : "memory"); /* ICC_IAR1_EL1 */
		if (id < SPURIOUS)
			break;
		__asm__ volatile("wfi");
	}
	__asm__ volatile("msr S3_0_C12_C12_1, %0\n\tisb" : : "r"(id) : "memory"); /* ICC_EOIR1_EL1 */
	return id;
}

/* ---- The others ----------------------------------------------------------------------------------------------- */

static int64_t start(uint64_t cpu, uint64_t order)
{
	return smc(CPU_ON, cpu, (uint64_t)other, cpu | order << 8);
}

static void answer_for_ever(uint64_t cpu)
{
	gic_set_up(cpu);
	own[cpu].ready = 1;
	for (;;) {
		own[cpu].wrong += take() != SGI_PING;
		own[cpu].answers++;
		send(1);
	}
}

void other_main(uint64_t cpu, uint64_t order)
{
	uint64_t affinity, next = cpu + 1 < cpus ? cpu + 1 : 1;

	__asm__ volatile("mrs %0, mpidr_el1" : "=r"(affinity));
	own[cpu].wrong += (affinity & 0xff) != cpu;
	own[cpu].starts++;
	if (order == ORDER_ANSWER)
		answer_for_ever(cpu);
	if (order == ORDER_RESET)
		(void)smc(SYSTEM_RESET, 0, 0, 0);
	/* Two that start the same one at once: one of them at most succeeds. */
	if (order == ORDER_CHAIN && next != cpu && start(next, ORDER_STOP) == SUCCESS)
		own[cpu].chained++;
	(void)smc(CPU_OFF, 0, 0, 0);
	own[cpu].wrong += 1000000;
	for (;;)
		;
}

/* ---- The first ------------------------------------------------------------------------------------------------ */

static void find_devices(void)
{
	if (smc(RSI_VERSION, ABI_1_0, 0, 0) == 0 && smc(RSI_REALM_CONFIG, (uint64_t)&config, 0, 0) == 0)
		devices = UINT64_C(1) << (config.ipa_width - 1);
}

static void wait_until_off(uint64_t cpu)
{
	while (smc(AFFINITY_INFO, cpu, 0, 0) != 1)
		;
}

static uint64_t sum_starts(void)
{
	uint64_t cpu, sum = 0;

	for (cpu = 1; cpu < cpus; cpu++)
		sum += own[cpu].starts;
	return sum;
}

/* Start all, again and again, as soon as they can be: every success is one start, and nothing else is. */
static void check_starts(uint64_t order, const char *what)
{
	uint64_t cpu, before = sum_starts(), good = 0, early = 0, odd = 0, round;
	int64_t result;

	for (cpu = 1; cpu < cpus; cpu++)
		good -= own[cpu].chained;
	for (round = 0; round < ROUNDS; round++)
		for (cpu = 1; cpu < cpus; cpu++) {
			result = start(cpu, order);
			good += result == SUCCESS;
			early += result == ALREADY_ON;
			odd += result != SUCCESS && result != ALREADY_ON;
		}
	/* Whom one that is still on may start, may be on after it was seen off: twice around. */
	for (cpu = 1; cpu < 2 * cpus; cpu++)
		if (cpu % cpus != 0)
			wait_until_off(cpu % cpus);
	for (cpu = 1; cpu < cpus; cpu++)
		good += own[cpu].chained;
	check(what, good, good == sum_starts() - before && good >= cpus - 1 && odd == 0);
	text("# too early: ");
	number(early);
	text("\n");
}

static void check_interrupts(void)
{
	uint64_t cpu, round, sum, all = 0;
	bool good = true;

	gic_set_up(0);
	*(volatile uint32_t *)(devices + GICD) = 0x12; /* ARE, group 1 */
	for (cpu = 1; cpu < cpus; cpu++) {
		good &= start(cpu, ORDER_ANSWER) == SUCCESS;
		while (own[cpu].ready == 0)
			;
		good &= start(cpu, ORDER_ANSWER) == ALREADY_ON && smc(AFFINITY_INFO, cpu, 0, 0) == 0;
		all |= UINT64_C(1) << cpu;
	}
	check("vCPUs are on", cpus, good);
	for (good = true, round = 0; round < PINGS; round++)
		for (cpu = 1; cpu < cpus; cpu++) {
			send(UINT64_C(1) << cpu);
			good &= take() == SGI_PING && own[cpu].answers == round + 1;
		}
	check("interrupts came back", PINGS * (cpus - 1), good);
	/* All at once: answers may melt into one, but every vCPU gives one. */
	send(all);
	do
		for (sum = 0, cpu = 1; cpu < cpus; cpu++)
			sum += own[cpu].answers - PINGS;
	while (sum != cpus - 1);
	check("answers to one interrupt for all", sum, take() == SGI_PING);
}

static void check_wrong(void)
{
	uint64_t cpu, sum = 0;

	for (cpu = 1; cpu < cpus; cpu++)
		sum += own[cpu].wrong;
	check("things went wrong", sum, sum == 0);
}

/* How many there are: CPU_ON tells those that are not there from those that are. */
static uint64_t count_cpus(void)
{
	uint64_t count = 1, cpu;

	cpus = MAX_CPUS;
	while (count < MAX_CPUS && start(count, ORDER_STOP) != INVALID_PARAMETERS)
		count++;
	for (cpu = 1; cpu < count; cpu++)
		wait_until_off(cpu);
	return count;
}

/* Two vCPUs at least. */
void first_main(void)
{
	uint64_t all;

	find_devices();
	cpus = all = count_cpus();
	check("vCPUs", cpus, cpus > 1);
	check_starts(ORDER_STOP, "starts");
	check_starts(ORDER_CHAIN, "starts by two");
	check("start of itself is refused", 0, start(0, ORDER_STOP) == ALREADY_ON);
	cpus = all > 2 ? all - 1 : all; /* where there are enough, the last one is kept for the end */
	check_interrupts();
	check_wrong();
	text("smp done\n");
	(void)(cpus < all ? start(cpus, ORDER_RESET) : smc(SYSTEM_RESET, 0, 0, 0));
	for (;;)
		send(2);
}

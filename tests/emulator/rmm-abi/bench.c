/* SPDX-License-Identifier: Apache-2.0 */
/* Each operation a few times between markers (realm_ops.h: BENCH_EVENT). A marker's id is operation << 32 | repetition << 8
 * | part: what consists of several calls has a pair of markers for each. `# op NUMBER NAME` lines tell the numbers. */
#include "build.h"
#include "console.h"
#include "memory.h"
#include "realm_ops.h"
#include "rmi.h"
#include "run.h"

#define TIMES  8U
#define TOKENS 3U
#define AREA  UINT64_C(0x80000000)

void host_main(void);

static uint64_t operation;

static void begin(const char *name)
{
	print_text("# op ");
	print_decimal(++operation);
	print_text(" ");
	print_text(name);
	print_text("\n");
}

static uint64_t id(uint64_t repetition, uint64_t part)
{
	return operation << 32 | repetition << 8 | part;
}

static void must(uint64_t status)
{
	if (status != RMI_SUCCESS)
		bail_out("a command of the benchmark failed");
}

/* One marked call that must succeed. */
#define MARKED(repetition, part, ...)                                                                          \
	must(rmi_marked(id(repetition, part), (const uint64_t[8]){ __VA_ARGS__ }).status)

static void versions(void)
{
	unsigned int i;

	begin("RMI_VERSION");
	for (i = 0; i < TIMES; i++)
		MARKED(i, 0, RMI_VERSION, ABI_1_0);
}

static void granules(void)
{
	/* Between neighbours that stay: EL3 does more where its table's entries become alike. */
	uint64_t first = pages_delegated(2 * TIMES + 1, 1);
	unsigned int i;

	begin("UNDELEGATE");
	for (i = 0; i < TIMES; i++)
		MARKED(i, 0, RMI_GRANULE_UNDELEGATE, first + (2 * i + 1) * PAGE);
	begin("DELEGATE");
	for (i = 0; i < TIMES; i++)
		MARKED(i, 0, RMI_GRANULE_DELEGATE, first + (2 * i + 1) * PAGE);
	for (i = 0; i < 2 * TIMES + 1; i++)
		(void)page_release(first + i * PAGE);
}

static void realms(void)
{
	uint64_t rd = page_delegated(), root = page_delegated(), page = page_normal();
	struct realm_params *params = fill_realm_params(page, S2SZ, 1, 1, 7);
	unsigned int i;

	params->rtt_base = root;
	begin("REALM_CREATE");
	for (i = 0; i < TIMES; i++) {
		MARKED(i, 0, RMI_REALM_CREATE, rd, page);
		must(rmi(RMI_REALM_DESTROY, rd).status);
	}
}

static void recs(struct realm *realm)
{
	unsigned int i;

	begin("REC_CREATE");
	for (i = 0; i < TIMES; i++) {
		struct realm_rec *rec = &realm->rec[realm->recs];
		struct rec_params *params = realm_rec_params(realm, rec);

		params->mpidr = rec_mpidr(i);
		params->flags = REC_RUNNABLE;
		MARKED(i, 0, RMI_REC_CREATE, realm->rd, rec->pa, realm->params);
		realm->recs++;
	}
}

/* Level 3 tables where there was nothing, and where there was RAM to be inherited. */
static void tables(const struct realm *realm)
{
	unsigned int i;

	begin("RTT_CREATE, EMPTY");
	for (i = 0; i < TIMES; i++)
		MARKED(i, 0, RMI_RTT_CREATE, realm->rd, page_delegated(), AREA + (1 + i) * BLOCK, 3);
	must(rmi(RMI_RTT_INIT_RIPAS, realm->rd, AREA + 16 * BLOCK, AREA + 32 * BLOCK).status);
	begin("RTT_CREATE, RAM");
	for (i = 0; i < TIMES; i++)
		MARKED(i, 0, RMI_RTT_CREATE, realm->rd, page_delegated(), AREA + (16 + i) * BLOCK, 3);
}

static void pages(const struct realm *realm)
{
	uint64_t source = page_normal(), first = AREA + 16 * BLOCK;
	unsigned int i;

	page_number(source, JUNK);
	begin("DATA_CREATE measured");
	for (i = 0; i < TIMES; i++)
		MARKED(i, 0, RMI_DATA_CREATE, realm->rd, page_delegated(), first + i * PAGE, source, DATA_MEASURE);
	begin("DATA_CREATE_UNKNOWN");
	for (i = 0; i < TIMES; i++)
		MARKED(i, 0, RMI_DATA_CREATE_UNKNOWN, realm->rd, page_delegated(), first + (TIMES + i) * PAGE);
	/* Each with the next one still there, the last one with the rest of the table to be looked through. */
	must(rmi(RMI_DATA_CREATE_UNKNOWN, realm->rd, page_delegated(), first + 2 * TIMES * PAGE).status);
	begin("DATA_DESTROY");
	for (i = 0; i < TIMES; i++)
		MARKED(i, 0, RMI_DATA_DESTROY, realm->rd, first + (TIMES + i) * PAGE);
	begin("DATA_DESTROY, nothing behind");
	MARKED(0, 0, RMI_DATA_DESTROY, realm->rd, first + 2 * TIMES * PAGE);
}

static void expect_exit(const struct realm *realm, uint64_t reason)
{
	if (run_page(realm)->exit.reason != reason)
		bail_out("the realm's run ended for another reason");
}

static void host_calls(struct realm *realm)
{
	unsigned int i;

	must(ask(realm, 0, OP_BENCH_CALLS, TIMES + 2));
	expect_exit(realm, EXIT_HOST_CALL);
	begin("REC_ENTER, HOST_CALL exit");
	page_fill(realm->run, 0);
	for (i = 0; i < TIMES; i++) {
		MARKED(i, 0, RMI_REC_ENTER, realm->rec[0].pa, realm->run);
		expect_exit(realm, EXIT_HOST_CALL);
	}
	/* The last one of the loop, then the answer to the request. */
	must(enter(realm, 0));
	must(enter(realm, 0));
	expect_exit(realm, EXIT_HOST_CALL);
}

static void accesses(struct realm *realm)
{
	unsigned int i;

	must(ask(realm, 0, OP_BENCH_MMIO, DEVICE_BASE, TIMES + 1));
	expect_exit(realm, EXIT_SYNC);
	begin("REC_ENTER, MMIO exit");
	page_fill(realm->run, 0);
	run_page(realm)->enter.flags = ENTER_EMUL_MMIO;
	for (i = 0; i < TIMES; i++) {
		MARKED(i, 0, RMI_REC_ENTER, realm->rec[0].pa, realm->run);
		expect_exit(realm, EXIT_SYNC);
	}
	must(enter(realm, 0));
	expect_exit(realm, EXIT_HOST_CALL);
}

/* What a tick of the host's costs: its timer has expired before the realm's first instruction. */
static void interrupts(struct realm *realm)
{
	struct rec_run *run = run_page(realm);
	unsigned int i;

	page_fill(realm->run, 0);
	run->enter.gprs[0] = OP_SPIN;
	run->enter.gprs[1] = TIMES;
	must(enter_for(realm, 0, 1));
	begin("REC_ENTER, IRQ exit");
	for (i = 0; i < TIMES; i++) {
		expect_exit(realm, EXIT_IRQ);
		arm_host_timer(1);
		MARKED(i, 0, RMI_REC_ENTER, realm->rec[0].pa, realm->run);
		take_interrupts();
	}
	must(enter(realm, 0));
	expect_exit(realm, EXIT_HOST_CALL);
}

static void realm_calls(struct realm *realm)
{
	unsigned int i;

	begin("RSI_VERSION, no exit");
	for (i = 0; i < TIMES; i++) {
		must(ask(realm, 0, OP_BENCH_RSI, id(i, 0), 1));
		expect_exit(realm, EXIT_HOST_CALL);
	}
}

static void measurements(struct realm *realm)
{
	begin("RSI_MEASUREMENT_EXTEND");
	must(ask(realm, 0, OP_BENCH_EXTEND, id(0, 0), 1));
	must(ask(realm, 0, OP_BENCH_EXTEND, id(1, 0), 1));
	expect_exit(realm, EXIT_HOST_CALL);
}

/* Of a realm that nobody interrupts, from TOKEN_INIT to the token's last byte. */
static void tokens(struct realm *realm)
{
	unsigned int i;

	begin("attestation token");
	for (i = 0; i < TOKENS; i++) {
		must(ask(realm, 0, OP_BENCH_TOKEN, id(i, 0), UNMEASURED_IPA));
		expect_exit(realm, EXIT_HOST_CALL);
	}
}

/* From a fault of the realm to its next. */
static void faults(struct realm *realm)
{
	uint64_t base = AREA + (16 + TIMES - 1) * BLOCK;
	unsigned int i;

	must(ask(realm, 0, OP_TOUCH, base, TIMES + 1));
	expect_exit(realm, EXIT_SYNC);
	begin("demand fault");
	page_fill(realm->run, 0);
	for (i = 0; i < TIMES; i++) {
		uint64_t page = page_normal();

		MARKED(i, 0, RMI_GRANULE_DELEGATE, page);
		MARKED(i, 1, RMI_DATA_CREATE_UNKNOWN, realm->rd, page, base + i * PAGE);
		MARKED(i, 2, RMI_REC_ENTER, realm->rec[0].pa, realm->run);
		expect_exit(realm, EXIT_SYNC);
	}
}

void host_main(void)
{
	static struct realm realm;

	run_init();
	must(realm_create(&realm, S2SZ, 1, 1, 3));
	must(realm_image_load(&realm));
	must(realm_table(&realm, AREA, 2));
	versions();
	granules();
	realms();
	tables(&realm);
	pages(&realm);
	recs(&realm);
	must(rmi(RMI_REALM_ACTIVATE, realm.rd).status);
	page_fill(realm.run, 0);
	must(enter(&realm, 0));
	expect_exit(&realm, EXIT_HOST_CALL);
	host_calls(&realm);
	accesses(&realm);
	interrupts(&realm);
	realm_calls(&realm);
	measurements(&realm);
	tokens(&realm);
	faults(&realm);
	print_text("# bench ends\n");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch.h for the build host, and a line protocol on stdin and stdout around the RMM's core.
 *
 * Memory is one arena with a physical address space for each granule, as the hardware would check it. Touching a granule
 * that is not Realm through the RMM's view ends the program: that is a defect of the core. A realm is a queue
 * of traps.
 */
#include "arch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "asm.h"
#include "attest.h"
#include "granule.h"
#include "handlers.h"
#include "manifest.h"
#include "rec.h"
#include "sha256.h"
#include "sha512.h"

#define ARENA_BYTES (DELEGABLE_MAX - DELEGABLE_MIN)
#define MAX_TRAPS   64
#define TRAP_GPRS   11

struct trap {
	unsigned int kind;
	uint64_t esr, far, hpfar, gprs[TRAP_GPRS];
	unsigned int gprs_given;
};

static uint8_t *arena;
static bool is_realm[ARENA_BYTES / GRANULE_SIZE];
static uint64_t memory_end = DELEGABLE_MAX;
static struct trap traps[MAX_TRAPS];
static unsigned int first_trap, last_trap;
static uint64_t injected_esr, invalidations;
/* What rec_run's caller would see in the registers at the last resume. */
static struct rec last_rec;
/* What the next exit finds in the realm's timers; whether the last entry masked them. */
static struct rec_timers next_timers;
static bool masked_v, masked_p;

static size_t number_of(uint64_t pa)
{
	if (pa < DELEGABLE_MIN || pa >= DELEGABLE_MAX)
		panic("host: address outside the arena");
	return (pa - DELEGABLE_MIN) >> GRANULE_SHIFT;
}

void panic(const char *text)
{
	fprintf(stderr, "panic: %s\n", text);
	abort();
}

void *arch_granule(uint64_t pa)
{
	if (!is_realm[number_of(pa)])
		panic("host: granule protection fault in the RMM");
	return arena + (pa - DELEGABLE_MIN);
}

/* Some of the host's memory below the RMM, which cannot be delegated. */
static uint8_t low_memory[2 * GRANULE_SIZE];

/* NULL: a fault. */
static uint8_t *ns_memory(uint64_t pa)
{
	if (pa >= NS_MIN && pa < NS_MIN + sizeof(low_memory))
		return low_memory + (pa - NS_MIN);
	if (pa < DELEGABLE_MIN || pa >= memory_end || is_realm[number_of(pa)])
		return NULL;
	return arena + (pa - DELEGABLE_MIN);
}

bool arch_ns_read(void *to, uint64_t pa, size_t bytes)
{
	const uint8_t *from = ns_memory(pa);

	if (from != NULL)
		memcpy(to, from, bytes);
	return from != NULL;
}

static void copy_parts(uint8_t *to, const uint8_t *from, const struct part *parts)
{
	for (; parts->bytes != 0; parts++)
		memcpy(to + parts->offset, from + parts->offset, parts->bytes);
}

bool arch_ns_read_parts(void *to, uint64_t pa, const struct part *parts)
{
	const uint8_t *from = ns_memory(pa);

	if (from != NULL)
		copy_parts(to, from, parts);
	return from != NULL;
}

bool arch_ns_write_parts(uint64_t pa, const void *from, const struct part *parts)
{
	uint8_t *to = ns_memory(pa);

	if (to != NULL)
		copy_parts(to, from, parts);
	return to != NULL;
}

bool arch_ns_zero(uint64_t pa, size_t bytes)
{
	uint8_t *to = ns_memory(pa);

	if (to != NULL)
		memset(to, 0, bytes);
	return to != NULL;
}

bool arch_wipe(uint64_t pa)
{
	if (pa >= memory_end)
		return false;
	memset(arch_granule(pa), 0, GRANULE_SIZE);
	return true;
}

bool arch_delegate(uint64_t pa)
{
	bool good = !is_realm[number_of(pa)];

	is_realm[number_of(pa)] = true;
	return good;
}

bool arch_undelegate(uint64_t pa)
{
	bool good = is_realm[number_of(pa)];

	is_realm[number_of(pa)] = false;
	return good;
}

void arch_invalidate(uint64_t vttbr)
{
	(void)vttbr;
	invalidations++;
}

void arch_table_barrier(void)
{
}

unsigned int arch_cpu(void)
{
	return 0;
}

unsigned int arch_gic_list_registers(void)
{
	return 4;
}

void arch_relax(void)
{
	panic("host: waiting for a lock that nobody will release");
}

uint64_t arch_id_register(unsigned int crm, unsigned int op2)
{
	/* All that there can be; in ID_AA64MMFR0_EL1.TGran4_2 that is LPA2. */
	if (crm == 7 && op2 == 0)
		return ~(UINT64_C(15) << 40) | UINT64_C(3) << 40;
	return ~UINT64_C(0);
}

/* 64-byte lines; IDC and DIC. */
uint64_t arch_cache_type(void)
{
	return UINT64_C(0xb444c004);
}

void arch_rec_reset(struct rec *rec)
{
	rec->sys[0] = 1;
}

void arch_rec_load(struct rec *rec)
{
	injected_esr = 0;
	masked_v = rec->timers.mask_v;
	masked_p = rec->timers.mask_p;
}

void arch_rec_save(struct rec *rec)
{
	rec->timers.cntv_ctl = next_timers.cntv_ctl;
	rec->timers.cntp_ctl = next_timers.cntp_ctl;
	last_rec = *rec;
}

void arch_rec_inject(struct rec *rec, uint64_t esr, uint64_t far)
{
	(void)rec, (void)far;
	injected_esr = esr;
}

static struct stage1 stage1_registers;

void arch_rec_stage1(struct stage1 *stage1)
{
	*stage1 = stage1_registers;
}

unsigned int arch_rec_run(struct rec *rec)
{
	const struct trap *trap = &traps[first_trap];

	if (first_trap == last_trap)
		return TRAP_IRQ;
	first_trap = (first_trap + 1) % MAX_TRAPS;
	rec->esr = trap->esr;
	rec->far = trap->far;
	rec->hpfar = trap->hpfar;
	memcpy(rec->gprs, trap->gprs, trap->gprs_given * sizeof(trap->gprs[0]));
	return trap->kind;
}

/* ---- Attestation: what stands in for EL3 and for the library --------------------------------------------------- */

/* A signature here is three times the SHA-256 of what was signed: a test sees what that was. */
static struct {
	uint8_t digest[SHA256_BYTES];
	bool started;
} signatures[SIGNERS];
static unsigned int signature_starts, signature_breaks;
static enum signing signature_break = SIGNING_IRQ;
static bool el3_key = true, el3_token = true;

bool arch_attest_key(uint8_t *key)
{
	memset(key, 1, ATTEST_SCALAR_BYTES);
	return el3_key;
}

size_t arch_platform_token(const uint8_t *challenge, uint8_t *token)
{
	/* Longer than half a page, so that a whole one does not fit the rest: the challenge, then zeroes. */
	memset(token, 0, GRANULE_SIZE);
	memcpy(token, challenge, SHA256_BYTES);
	return el3_token ? 3000 : 0;
}

bool arch_public_key(const uint8_t *key, uint8_t *point)
{
	(void)key;
	memset(point, 2, ATTEST_SCALAR_BYTES);
	memset(point + ATTEST_SCALAR_BYTES, 3, ATTEST_SCALAR_BYTES);
	return true;
}

void arch_sign_start(unsigned int number, const uint8_t *key, const uint8_t *message, size_t bytes)
{
	if (key != attest_private_key())
		panic("host: another key");
	sha256(message, bytes, signatures[number].digest);
	signatures[number].started = true;
	signature_starts++;
}

enum signing arch_sign(unsigned int number, uint8_t *signature)
{
	unsigned int i;

	if (!signatures[number].started)
		panic("host: a signature goes on that was not begun");
	if (signature_breaks != 0) {
		signature_breaks--;
		return signature_break;
	}
	for (i = 0; i < 3; i++)
		memcpy(signature + i * SHA256_BYTES, signatures[number].digest, SHA256_BYTES);
	arch_sign_wipe(number);
	return SIGNING_DONE;
}

void arch_sign_wipe(unsigned int number)
{
	memset(&signatures[number], 0, sizeof(signatures[number]));
}

/* ---- SHA-256, FIPS 180-4 6.2.2, as the text has it --------------------------------------------------------- */

static uint32_t rotate(uint32_t value, unsigned int by)
{
	return value >> by | value << (32 - by);
}

/* First 32 bits of the fractional part of the cube root of a prime (4.2.2), by integer search. */
static uint32_t round_constant(unsigned int prime)
{
	unsigned __int128 target = (unsigned __int128)prime << 96;
	uint64_t low = 0, high = UINT64_C(1) << 35;

	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if ((unsigned __int128)middle * middle * middle <= target)
			low = middle;
		else
			high = middle;
	}
	return (uint32_t)low;
}

static const uint32_t *round_constants(void)
{
	static uint32_t constants[64];
	unsigned int candidate = 2, count = 0, divisor;

	while (constants[63] == 0) {
		for (divisor = 2; divisor < candidate && candidate % divisor != 0; divisor++)
			;
		if (divisor == candidate)
			constants[count++] = round_constant(candidate);
		candidate++;
	}
	return constants;
}

static void expand(uint32_t w[64], const uint8_t *block)
{
	unsigned int t;

	for (t = 0; t < 16; t++, block += 4)
		w[t] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 | block[3];
	for (; t < 64; t++)
		w[t] = (rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10) + w[t - 7] +
		       (rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3) + w[t - 16];
}

static void compress(uint32_t state[8], const uint8_t *block)
{
	const uint32_t *k = round_constants();
	uint32_t w[64], v[8];
	unsigned int t;

	expand(w, block);
	memcpy(v, state, sizeof(v));
	for (t = 0; t < 64; t++) {
		uint32_t t1 = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) +
			      ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[t] + w[t];
		uint32_t t2 = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) +
			      ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

		memmove(&v[1], &v[0], 7 * sizeof(v[0]));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (t = 0; t < 8; t++)
		state[t] += v[t];
}

void arch_sha256_blocks(uint32_t state[8], const uint8_t *data, size_t blocks)
{
	for (; blocks != 0; blocks--, data += 64)
		compress(state, data);
}

/* ---- Protocol ---------------------------------------------------------------------------------------------- */

static unsigned int numbers(char *text, uint64_t *values, unsigned int most)
{
	unsigned int count = 0;
	char *word = strtok(text, " \n");

	for (; word != NULL && count < most; word = strtok(NULL, " \n"))
		values[count++] = strtoull(word, NULL, 16);
	return count;
}

static size_t bytes_of(const char *hex, uint8_t *to, size_t most)
{
	unsigned int value;
	size_t count = 0;

	while (count < most && sscanf(hex, "%2x", &value) == 1 && hex[0] > ' ' && hex[1] > ' ') {
		to[count++] = (uint8_t)value;
		hex += 2;
	}
	return count;
}

static void say_bytes(const uint8_t *bytes, size_t count)
{
	while (count-- != 0)
		printf("%02x", *bytes++);
	printf("\n");
}

static void do_smc(char *arguments)
{
	uint64_t request[8] = { 0 }, regs[5];

	(void)numbers(arguments, request, 8);
	rmi_handle(request, regs);
	printf("%" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 "\n", regs[0], regs[1], regs[2], regs[3],
	       regs[4]);
}

static void do_trap(char *arguments)
{
	uint64_t values[4 + TRAP_GPRS] = { 0 };
	unsigned int count = numbers(arguments, values, 4 + TRAP_GPRS);
	struct trap *trap = &traps[last_trap];

	last_trap = (last_trap + 1) % MAX_TRAPS;
	trap->kind = (unsigned int)values[0];
	trap->esr = values[1];
	trap->far = values[2];
	trap->hpfar = values[3];
	trap->gprs_given = count > 4 ? count - 4 : 0;
	memcpy(trap->gprs, &values[4], sizeof(trap->gprs));
	printf("ok\n");
}

static void do_rec(void)
{
	unsigned int i;

	printf("%" PRIx64 " %" PRIx64 " %" PRIx64, injected_esr, invalidations, last_rec.pc);
	for (i = 0; i < REC_GPRS; i++)
		printf(" %" PRIx64, last_rec.gprs[i]);
	printf("\n");
}

/* Set what the realm's timers will show at the exit; tell whether they were masked at the last entry. */
static void do_timers(char *arguments)
{
	uint64_t values[2] = { 0 };

	(void)numbers(arguments, values, 2);
	next_timers.cntv_ctl = values[0];
	next_timers.cntp_ctl = values[1];
	printf("%d %d\n", masked_v, masked_p);
}

static uint8_t *anywhere(uint64_t pa)
{
	if (pa >= NS_MIN && pa < NS_MIN + sizeof(low_memory))
		return low_memory + (pa - NS_MIN);
	(void)number_of(pa);
	return arena + (pa - DELEGABLE_MIN);
}

/* Memory as it is, whoever owns it: what a test checks for leaks. */
static void do_read(char *arguments)
{
	uint64_t values[2] = { 0 };

	(void)numbers(arguments, values, 2);
	say_bytes(anywhere(values[0]), values[1]);
}

static void do_write(char *arguments)
{
	char *hex = strchr(arguments, ' ');
	uint64_t pa = strtoull(arguments, NULL, 16);

	if (hex != NULL)
		(void)bytes_of(hex + 1, anywhere(pa), GRANULE_SIZE);
	printf("ok\n");
}

static void do_manifest(char *arguments)
{
	static _Alignas(8) uint8_t page[GRANULE_SIZE];
	struct manifest manifest = { 0 };
	char *hex = strchr(arguments, ' ');
	int64_t status;

	memset(page, 0, sizeof(page));
	(void)bytes_of(hex + 1, page, sizeof(page));
	status = manifest_parse(page, strtoull(arguments, NULL, 16), &manifest);
	printf("%" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 "\n", (uint64_t)status, manifest.dram_base,
	       manifest.dram_size, manifest.console);
}

static void do_sha256(char *arguments)
{
	static uint8_t message[GRANULE_SIZE];
	uint8_t digest[SHA256_BYTES];

	sha256(message, bytes_of(arguments, message, sizeof(message)), digest);
	say_bytes(digest, sizeof(digest));
}

static void do_sha512(char *arguments)
{
	static uint8_t message[GRANULE_SIZE];
	uint8_t digest[SHA512_BYTES];

	sha512(message, bytes_of(arguments, message, sizeof(message)), digest);
	say_bytes(digest, sizeof(digest));
}

/* Boot's part: what EL3 has. The answer is what is missing. */
static void do_attest(char *arguments)
{
	uint64_t values[2] = { 0 };
	const char *missing;

	(void)numbers(arguments, values, 2);
	el3_key = values[0] != 0;
	el3_token = values[1] != 0;
	missing = attest_init();
	printf("%s\n", missing == NULL ? "nothing" : missing);
}

/* Break off that many of the next steps of signatures, and how; the answer is how many were begun so far. */
static void do_signatures(char *arguments)
{
	uint64_t values[2] = { 0 };

	(void)numbers(arguments, values, 2);
	signature_breaks = (unsigned int)values[0];
	signature_break = (enum signing)values[1];
	printf("%x\n", signature_starts);
}

/* What the realm's SCTLR, TCR, TTBR0 and TTBR1 hold from now on. */
static void do_stage1(char *arguments)
{
	uint64_t values[4] = { 0 };

	(void)numbers(arguments, values, 4);
	stage1_registers = (struct stage1){ values[0], values[1], values[2], values[3] };
	printf("ok\n");
}

int main(void)
{
	static char line[32 + 2 * GRANULE_SIZE];

	arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena == MAP_FAILED)
		panic("host: no address space for the arena");
	granule_init(DELEGABLE_MIN, ARENA_BYTES);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		char *arguments = strchr(line, ' ');

		arguments = arguments == NULL ? line + strlen(line) : arguments + 1;
		if (strncmp(line, "smc ", 4) == 0)
			do_smc(arguments);
		else if (strncmp(line, "trap ", 5) == 0)
			do_trap(arguments);
		else if (strncmp(line, "rec", 3) == 0)
			do_rec();
		else if (strncmp(line, "timers ", 7) == 0)
			do_timers(arguments);
		else if (strncmp(line, "read ", 5) == 0)
			do_read(arguments);
		else if (strncmp(line, "write ", 6) == 0)
			do_write(arguments);
		else if (strncmp(line, "manifest ", 9) == 0)
			do_manifest(arguments);
		else if (strncmp(line, "sha256 ", 7) == 0)
			do_sha256(arguments);
		else if (strncmp(line, "sha512 ", 7) == 0)
			do_sha512(arguments);
		else if (strncmp(line, "stage1 ", 7) == 0)
			do_stage1(arguments);
		else if (strncmp(line, "attest ", 7) == 0)
			do_attest(arguments);
		else if (strncmp(line, "signatures ", 11) == 0)
			do_signatures(arguments);
		else if (strncmp(line, "memory-end ", 11) == 0)
			printf("%" PRIx64 "\n", memory_end = strtoull(arguments, NULL, 16));
		else
			panic("host: unknown request");
		fflush(stdout);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* B5.3, A7.2: attestation tokens. What is in them is judged by the test that started this machine, from the `# token` lines. */
#include "checks.h"

#include "console.h"
#include "token.h"

#define X(n) exit_gpr(&lab, 1 + (n))
#define SEED UINT64_C(0x1234)
/* Instructions that a host may have to wait for its interrupt: the counter ticks once an instruction. */
#define MOST_LATE UINT64_C(50000)

static struct token whole, other;

static void at_once(void)
{
	EXPECT_TRUE(token_get(&lab, 0, &whole, SEED));
	EXPECT_TRUE(whole.count > 1000 && whole.count <= whole.bound);
	token_print("A", SEED, &whole);
}

static void without_begin(void)
{
	EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_ATTESTATION_TOKEN_CONTINUE, TOKEN_IPA, 0, PAGE));
	EXPECT(X(0), RSI_ERROR_STATE);
	EXPECT_TRUE(answered(&lab, 1, OP_SMC, RSI_ATTESTATION_TOKEN_CONTINUE, TOKEN_IPA, 0, PAGE));
	EXPECT(X(0), RSI_ERROR_STATE);
}

/* Nothing of it ends or moves the token on. */
static void refused(void)
{
	static const uint64_t bad[][3] = {
		{ TOKEN_IPA + 8, 0, 64 }, { SHARED_BASE, 0, 64 }, { 2 * PROTECTED, 0, 64 }, { TOKEN_IPA, PAGE, 0 },
		{ TOKEN_IPA, 0, PAGE + 1 }, { TOKEN_IPA, 64, PAGE - 63 }, { TOKEN_IPA, 64, ~UINT64_C(0) },
		{ TOKEN_IPA, ~UINT64_C(0), 64 }, { ~UINT64_C(0xfff), 0, 64 },
	};
	unsigned int i;

	EXPECT(token_init(&lab, 0, &other, SEED), RSI_SUCCESS);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_ATTESTATION_TOKEN_CONTINUE, bad[i][0], bad[i][1], bad[i][2]));
		EXPECT(X(0), RSI_ERROR_INPUT);
	}
	while (token_continue(&lab, 0, &other, PAGE) == RSI_INCOMPLETE)
		;
	EXPECT_TRUE(tokens_equal(&whole, &other));
}

static void in_pieces(void)
{
	uint64_t status, calls = 0;

	EXPECT(token_init(&lab, 0, &other, SEED), RSI_SUCCESS);
	do {
		status = token_continue(&lab, 0, &other, 1 + calls * 37 % 300);
		calls++;
	} while (status == RSI_INCOMPLETE && calls < 1000);
	EXPECT(status, RSI_SUCCESS);
	EXPECT_TRUE(calls > 10);
	EXPECT_TRUE(tokens_equal(&whole, &other));
}

/* Realms that do not come forward by themselves: the host's timer breaks in again and again. */
static void broken_off(void)
{
	struct breaks breaks = { 0, 0 };
	uint64_t status;

	EXPECT(token_init(&lab, 0, &other, SEED), RSI_SUCCESS);
	do
		status = token_continue_broken(&lab, 0, &other, 100000, &breaks);
	while (status == RSI_INCOMPLETE && breaks.count < 10000);
	EXPECT(status, RSI_SUCCESS);
	EXPECT_TRUE(breaks.count > 3);
	EXPECT_TRUE(breaks.late <= MOST_LATE);
	print_text("# token breaks ");
	print_decimal(breaks.count);
	print_text(" late ");
	print_decimal(breaks.late);
	print_text("\n");
	EXPECT_TRUE(tokens_equal(&whole, &other));
}

static void begun_again(void)
{
	struct breaks breaks = { 0, 0 };

	EXPECT(token_init(&lab, 0, &other, SEED + 1), RSI_SUCCESS);
	EXPECT(token_continue_broken(&lab, 0, &other, 100000, &breaks), RSI_INCOMPLETE);
	EXPECT(token_init(&lab, 0, &other, SEED), RSI_SUCCESS);
	EXPECT(token_continue(&lab, 0, &other, 100), RSI_INCOMPLETE);
	EXPECT_TRUE(token_get(&lab, 0, &other, SEED));
	EXPECT_TRUE(tokens_equal(&whole, &other));
}

/* Two CPUs of the realm's make one each, in turns. */
static void two_at_once(void)
{
	static struct token second;
	struct breaks breaks = { 0, 0 };
	uint64_t one, two, turns = 0;

	EXPECT(token_init(&lab, 0, &other, SEED), RSI_SUCCESS);
	EXPECT(token_init(&lab, 1, &second, SEED + 2), RSI_SUCCESS);
	do {
		one = token_continue_broken(&lab, 0, &other, 60000, &breaks);
		two = token_continue_broken(&lab, 1, &second, 90000, &breaks);
	} while (one == RSI_INCOMPLETE && two == RSI_INCOMPLETE && turns++ < 10000);
	while (one == RSI_INCOMPLETE && other.count < TOKEN_BYTES)
		one = token_continue(&lab, 0, &other, PAGE);
	while (two == RSI_INCOMPLETE && second.count < TOKEN_BYTES)
		two = token_continue(&lab, 1, &second, PAGE);
	EXPECT(one, RSI_SUCCESS);
	EXPECT(two, RSI_SUCCESS);
	EXPECT_TRUE(turns > 3);
	EXPECT_TRUE(tokens_equal(&whole, &other));
	token_print("A", SEED + 2, &second);
}

/* A page that is not there ends the run as a store would; then the call is repeated. */
static void page_absent(void)
{
	uint64_t ipa = LATER_BASE + BLOCK + 3 * PAGE;

	EXPECT(token_init(&lab, 0, &other, SEED), RSI_SUCCESS);
	EXPECT(ask(&lab, 0, OP_SMC, RSI_ATTESTATION_TOKEN_CONTINUE, ipa, 0, PAGE), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_SYNC);
	EXPECT(ESR_EC(run_page(&lab)->exit.esr), EC_DATA_LOWER);
	EXPECT(run_page(&lab)->exit.hpfar, ipa >> 12 << 4);
	EXPECT(realm_unknown(&lab, ipa), RMI_SUCCESS);
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_SUCCESS);
	EXPECT(run_page(&lab)->exit.reason, EXIT_HOST_CALL);
	EXPECT(X(0), RSI_SUCCESS);
	EXPECT(X(1), whole.count);
	EXPECT_TRUE(answered(&lab, 0, OP_LOAD, ipa, LOAD_B));
	EXPECT(exit_gpr(&lab, 1), whole.bytes[0]);
}

static void extended(void)
{
	static const uint64_t sizes[] = { 0, 1, 32, 47, 64 };
	uint64_t request[12] = { OP_SMC, RSI_MEASUREMENT_EXTEND };
	unsigned int i, word;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		request[2] = 1 + i % 4;
		request[3] = sizes[i];
		for (word = 0; word < 8; word++)
			request[4 + word] = START_GPR(word + i);
		EXPECT_TRUE(answered_registers(&lab, 0, request, __FILE__, __LINE__));
		EXPECT(X(0), RSI_SUCCESS);
		for (word = 1; word <= 3; word++)
			EXPECT(X(word), 0);
		for (word = 4; word <= 10; word++)
			EXPECT(X(word), request[1 + word]);
		print_text("# rem A extend ");
		print_decimal(request[2]);
		print_text(" ");
		print_decimal(request[3]);
		print_text(" ");
		print_bytes(&request[4], 64);
		print_text("\n");
	}
	for (i = 1; i <= 4; i++) {
		EXPECT_TRUE(answered(&lab, 1, OP_SMC, RSI_MEASUREMENT_READ, i));
		print_text("# rem A is ");
		print_decimal(i);
		print_text(" ");
		print_bytes(&run_page(&lab)->exit.gprs[2], 64);
		print_text("\n");
	}
}

static void extend_refused(void)
{
	static const uint64_t bad[][2] = { { 0, 32 }, { 5, 32 }, { ~UINT64_C(0), 32 }, { 1, 65 }, { 1, ~UINT64_C(0) } };
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_TRUE(answered(&lab, 0, OP_SMC, RSI_MEASUREMENT_EXTEND, bad[i][0], bad[i][1], 1, 2, 3));
		EXPECT(X(0), RSI_ERROR_INPUT);
	}
}

/* Both sides of an extension: a token says what the measurements were when it was begun. */
static void told_by_token(void)
{
	EXPECT(token_init(&lab, 1, &other, SEED + 3), RSI_SUCCESS);
	EXPECT_TRUE(token_get(&lab, 0, &other, SEED + 3));
	token_print("A", SEED + 3, &other);
	EXPECT_TRUE(!tokens_equal(&whole, &other));
}

const struct check checks_token[] = {
	CHECK(at_once, "RSI_ATTESTATION_TOKEN: begun and read"),
	CHECK(without_begin, "RSI_ATTESTATION_TOKEN_CONTINUE: there is none behind the end, and none of another CPU's"),
	CHECK(refused, "RSI_ATTESTATION_TOKEN_CONTINUE: wrong buffers are refused, and change nothing"),
	CHECK(in_pieces, "RSI_ATTESTATION_TOKEN_CONTINUE: in pieces"),
	CHECK(broken_off, "RSI_ATTESTATION_TOKEN_CONTINUE: interrupts are the host's at once, and the token goes on"),
	CHECK(begun_again, "RSI_ATTESTATION_TOKEN_INIT: ends what was under way"),
	CHECK(two_at_once, "RSI_ATTESTATION_TOKEN: two CPUs in turns"),
	CHECK(page_absent, "RSI_ATTESTATION_TOKEN_CONTINUE: memory that is absent is asked for, then it succeeds"),
	CHECK(extended, "RSI_MEASUREMENT_EXTEND: any size, seen by all CPUs"),
	CHECK(extend_refused, "RSI_MEASUREMENT_EXTEND: wrong index and size are refused"),
	CHECK(told_by_token, "RSI_ATTESTATION_TOKEN: what was extended is in the next"),
	CHECKS_END,
};

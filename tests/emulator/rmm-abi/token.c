/* SPDX-License-Identifier: Apache-2.0 */
#include "token.h"

#include "console.h"
#include "memory.h"
#include "realm_ops.h"
#include "run.h"
#include "state.h"

/* Result registers of the realm's SMC. */
#define X(realm, n) exit_gpr(realm, 1 + (n))
#define READ_BYTES (8 * READ_WORDS)

static uint64_t challenge(uint64_t seed, unsigned int word)
{
	return word == 0 ? seed : seed * UINT64_C(0x9e3779b97f4a7c15) + word;
}

uint64_t token_init(struct realm *realm, unsigned int rec, struct token *token, uint64_t seed)
{
	uint64_t registers[12] = { OP_SMC, RSI_ATTESTATION_TOKEN_INIT };
	unsigned int i;

	for (i = 0; i < 8; i++)
		registers[2 + i] = challenge(seed, i);
	token->count = 0;
	token->bound = 0;
	if (!answered_registers(realm, rec, registers, __FILE__, __LINE__))
		return NOT_SUPPORTED;
	token->bound = X(realm, 1);
	return X(realm, 0);
}

/* Take over what the call that just returned wrote. */
static void take(struct realm *realm, unsigned int rec, struct token *token, uint64_t count)
{
	uint64_t at = token->count % PAGE, words[READ_WORDS];
	unsigned int i;

	while (count != 0 && token->count < TOKEN_BYTES) {
		/* Never beyond the page: there need not be another. */
		uint64_t from = at - at % 8 < PAGE - READ_BYTES ? at - at % 8 : PAGE - READ_BYTES;

		if (!answered(realm, rec, OP_READ, TOKEN_IPA + from))
			return;
		for (i = 0; i < READ_WORDS; i++)
			words[i] = exit_gpr(realm, 1 + i);
		for (i = (unsigned int)(at - from); i < READ_BYTES && count != 0 && token->count < TOKEN_BYTES; i++, at++, count--)
			token->bytes[token->count++] = (uint8_t)(words[i / 8] >> 8 * (i % 8));
	}
}

uint64_t token_continue(struct realm *realm, unsigned int rec, struct token *token, uint64_t size)
{
	uint64_t offset = token->count % PAGE, status;

	if (size > PAGE - offset)
		size = PAGE - offset;
	if (!answered(realm, rec, OP_SMC, RSI_ATTESTATION_TOKEN_CONTINUE, TOKEN_IPA, offset, size))
		return NOT_SUPPORTED;
	status = X(realm, 0);
	if (status == RSI_SUCCESS || status == RSI_INCOMPLETE)
		take(realm, rec, token, X(realm, 1));
	return status;
}

uint64_t token_continue_broken(struct realm *realm, unsigned int rec, struct token *token, uint64_t ticks,
			       struct breaks *breaks)
{
	struct rec_run *run = run_page(realm);
	uint64_t offset = token->count % PAGE, due, late, status;

	page_fill(realm->run, 0);
	run->enter.gprs[0] = OP_SMC;
	run->enter.gprs[1] = RSI_ATTESTATION_TOKEN_CONTINUE;
	run->enter.gprs[2] = TOKEN_IPA;
	run->enter.gprs[3] = offset;
	run->enter.gprs[4] = PAGE - offset;
	do {
		due = READ_SYSREG(cntpct_el0) + ticks;
		if (enter_for(realm, rec, ticks) != RMI_SUCCESS)
			return NOT_SUPPORTED;
		late = run_left_at > due ? run_left_at - due : 0;
		if (run->exit.reason == EXIT_IRQ) {
			breaks->count++;
			breaks->late = late > breaks->late ? late : breaks->late;
		}
	} while (run->exit.reason == EXIT_IRQ);
	if (run->exit.reason != EXIT_HOST_CALL)
		return NOT_SUPPORTED;
	status = X(realm, 0);
	if (status == RSI_SUCCESS || status == RSI_INCOMPLETE)
		take(realm, rec, token, X(realm, 1));
	return status;
}

bool token_get(struct realm *realm, unsigned int rec, struct token *token, uint64_t seed)
{
	uint64_t status = token_init(realm, rec, token, seed);

	if (status != RSI_SUCCESS)
		return false;
	do
		status = token_continue(realm, rec, token, PAGE);
	while (status == RSI_INCOMPLETE && token->count < TOKEN_BYTES);
	return status == RSI_SUCCESS && token->count <= token->bound;
}

bool tokens_equal(const struct token *a, const struct token *b)
{
	uint64_t i;

	for (i = 0; i < a->count && i < b->count; i++)
		if (a->bytes[i] != b->bytes[i])
			return false;
	return a->count == b->count;
}

void token_print(const char *name, uint64_t seed, const struct token *token)
{
	uint64_t words[8];
	unsigned int i;

	for (i = 0; i < 8; i++)
		words[i] = challenge(seed, i);
	print_text("# token ");
	print_text(name);
	print_text(" ");
	print_bytes(words, sizeof(words));
	print_text(" ");
	print_bytes(token->bytes, token->count);
	print_text("\n");
}

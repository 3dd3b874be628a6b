/* SPDX-License-Identifier: Apache-2.0 */
/* Attestation tokens as a realm gets them, step by step, seen from the host. */
#ifndef TOKEN_H
#define TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "build.h"

#define TOKEN_BYTES UINT64_C(8192)

/* Where the realm has its tokens written: pages of its image's room. */
#define TOKEN_IPA UNMEASURED_IPA

struct token {
	uint64_t bound, count;                   /* as TOKEN_INIT said; bytes so far */
	uint8_t bytes[TOKEN_BYTES];
};

/* TOKEN_INIT on a REC with a challenge that begins with `seed`; its x0. */
uint64_t token_init(struct realm *realm, unsigned int rec, struct token *token, uint64_t seed);
/* One TOKEN_CONTINUE for at most `size` bytes, and copy what it wrote; its x0. */
uint64_t token_continue(struct realm *realm, unsigned int rec, struct token *token, uint64_t size);
/* The same with the host's timer expiring every `ticks` until the call returns; counts the exits that it caused in `breaks`, and
 * the ticks by which the slowest came late in `late`. */
struct breaks {
	uint64_t count, late;
};
uint64_t token_continue_broken(struct realm *realm, unsigned int rec, struct token *token, uint64_t ticks,
			       struct breaks *breaks);
/* All of it. False if the commands did not answer as they should. */
bool token_get(struct realm *realm, unsigned int rec, struct token *token, uint64_t seed);
bool tokens_equal(const struct token *a, const struct token *b);
/* `# token NAME CHALLENGE BYTES` for the test that started this machine. */
void token_print(const char *name, uint64_t seed, const struct token *token);

#endif

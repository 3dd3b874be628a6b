/* SPDX-License-Identifier: Apache-2.0 */
/* arch.h for R-EL2: signatures on stacks of their own, and EL3's part in attestation. */
#include "signer_target.h"

#include "arch.h"
#include "asm.h"
#include "ecdsa.h"
#include "target.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
unsigned int signer_run(struct workplace *place);
void signer_end(void);

/* What is on the stack while it is left (signer.S). */
struct frame {
	uint64_t x2_to_x30[29], elr, spsr, nothing, x0, x1;
};
_Static_assert(sizeof(struct frame) == SIGNER_FRAME, "signer.S");
_Static_assert(offsetof(struct frame, elr) == 232, "signer.S");
_Static_assert(offsetof(struct frame, x0) == 256, "signer.S");
_Static_assert(offsetof(struct workplace, sp) == 0, "signer.S");
_Static_assert(offsetof(struct workplace, cpu_sp) == 8, "signer.S");

/* EL2 with its own stack pointer; debug exceptions and SErrors masked, interrupts not. */
#define PSTATE_OPEN UINT64_C(0x309)

static struct workplace workplaces[SIGNERS] __attribute__((section(".large")));

static char *stack_end(unsigned int number)
{
	return stacks_start + (MAX_CPUS + number + 1) * STACK_SLOT;
}

/* That of the stack it is called on. */
static struct heap *heap_of_stack(void)
{
	uint64_t sp = (uint64_t)(uintptr_t)__builtin_frame_address(0);
	struct workplace *const *place = (struct workplace *const *)((sp | (STACK_SLOT - 1)) - 15);

	return &(*place)->heap;
}

static void work_sign(struct workplace *place)
{
	place->good = ecdsa_sign(place->key, place->message, place->bytes, place->signature);
}

static void work_public_key(struct workplace *place)
{
	place->good = ecdsa_public_key(place->message, place->point);
}

static void prepare(unsigned int number, void (*work)(struct workplace *), const void *input, size_t bytes)
{
	struct workplace *place = &workplaces[number];
	char *end = stack_end(number);
	struct frame *frame = (struct frame *)(void *)(end - 16) - 1;

	arch_sign_wipe(number);
	memcpy(place->message, input, bytes);
	place->bytes = bytes;
	*(struct workplace **)(void *)(end - 16) = place;
	frame->x0 = (uint64_t)(uintptr_t)place;
	frame->x2_to_x30[28] = (uint64_t)(uintptr_t)signer_end;
	frame->elr = (uint64_t)(uintptr_t)work;
	frame->spsr = PSTATE_OPEN;
	place->sp = (uint64_t)(uintptr_t)frame;
}

static enum signing go_on(unsigned int number)
{
	switch (signer_run(&workplaces[number])) {
	case TRAP_IRQ:
		return SIGNING_IRQ;
	case TRAP_FIQ:
		return SIGNING_FIQ;
	default:
		return workplaces[number].good ? SIGNING_DONE : SIGNING_FAILED;
	}
}

void arch_sign_start(unsigned int number, const uint8_t *key, const uint8_t *message, size_t bytes)
{
	prepare(number, work_sign, message, bytes);
	workplaces[number].key = key;
}

enum signing arch_sign(unsigned int number, uint8_t *signature)
{
	enum signing result = go_on(number);

	if (result == SIGNING_DONE)
		memcpy(signature, workplaces[number].signature, ATTEST_SIGNATURE_BYTES);
	if (result == SIGNING_DONE || result == SIGNING_FAILED)
		arch_sign_wipe(number);
	return result;
}

void arch_sign_wipe(unsigned int number)
{
	(void)access_zero(stack_end(number) - STACK_SLOT / 2, STACK_SLOT / 2);
	(void)access_zero(&workplaces[number], sizeof(workplaces[number]));
}

bool arch_public_key(const uint8_t *key, uint8_t *point)
{
	bool good;

	heap_this = heap_of_stack;
	/* At boot, on the first CPU: interrupts do not come to EL2 before a REC does. */
	prepare(0, work_public_key, key, ATTEST_SCALAR_BYTES);
	good = go_on(0) == SIGNING_DONE;
	memcpy(point, workplaces[0].point, 2 * ATTEST_SCALAR_BYTES);
	arch_sign_wipe(0);
	return good;
}

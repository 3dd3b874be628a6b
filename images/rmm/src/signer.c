/* SPDX-License-Identifier: Apache-2.0 */
#include "signer.h"

#include "arch.h"
#include "asm.h"
#include "attest.h"

struct slot {
	const void *owner;            /* NULL: free */
	uint64_t turn;                /* of `turns`, when it was last taken */
	bool running;
};

/* A running signature occupies a CPU, so there is always a slot to take. */
_Static_assert(SIGNERS > MAX_CPUS, "signer.h");

static struct slot slots[SIGNERS];
static uint64_t turns;
static bool locked;

static void lock(void)
{
	while (__atomic_test_and_set(&locked, __ATOMIC_ACQUIRE))
		arch_relax();
}

static void unlock(void)
{
	__atomic_clear(&locked, __ATOMIC_RELEASE);
}

static struct slot *find(const void *owner)
{
	unsigned int i;

	for (i = 0; i < SIGNERS; i++)
		if (slots[i].owner == owner)
			return &slots[i];
	return NULL;
}

static struct slot *longest_waiting(void)
{
	struct slot *found = NULL;
	unsigned int i;

	for (i = 0; i < SIGNERS; i++)
		if (!slots[i].running && (found == NULL || slots[i].turn < found->turn))
			found = &slots[i];
	if (found == NULL)
		panic("signer: more signatures run than there are CPUs");
	return found;
}

/* The owner's slot; a new one is `fresh`. */
static struct slot *take(const void *owner, bool *fresh)
{
	struct slot *slot;

	lock();
	slot = find(owner);
	*fresh = slot == NULL;
	if (slot == NULL)
		slot = find(NULL);
	if (slot == NULL)
		slot = longest_waiting();
	slot->owner = owner;
	slot->turn = ++turns;
	slot->running = true;
	unlock();
	return slot;
}

static unsigned int number_of(const struct slot *slot)
{
	return (unsigned int)(slot - slots);
}

static void release(struct slot *slot, bool finished)
{
	lock();
	slot->running = false;
	if (finished)
		slot->owner = NULL;
	unlock();
}

enum signing signer_sign(const void *owner, const uint8_t *message, size_t bytes, uint8_t *signature)
{
	bool fresh;
	struct slot *slot = take(owner, &fresh);
	enum signing result;

	if (fresh)
		arch_sign_start(number_of(slot), attest_private_key(), message, bytes);
	result = arch_sign(number_of(slot), signature);
	release(slot, result == SIGNING_DONE || result == SIGNING_FAILED);
	return result;
}

void signer_forget(const void *owner)
{
	struct slot *slot;

	lock();
	slot = find(owner);
	if (slot != NULL)
		slot->running = true;
	unlock();
	if (slot != NULL) {
		arch_sign_wipe(number_of(slot));
		release(slot, true);
	}
}

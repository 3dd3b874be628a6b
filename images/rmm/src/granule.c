/* SPDX-License-Identifier: Apache-2.0 */
#include "granule.h"

#include "arch.h"

#define STATE_MASK  UINT32_C(0xff)
#define LOCKED      (UINT32_C(1) << 8)
#define COUNT_SHIFT 16

struct granule {
	uint32_t word;
};

#define GRANULES ((DELEGABLE_MAX - DELEGABLE_MIN) / GRANULE_SIZE)

static struct granule granules[GRANULES] __attribute__((section(".large")));
static uint64_t window_min, window_max;

void granule_init(uint64_t base, uint64_t size)
{
	window_min = base > DELEGABLE_MIN ? base : DELEGABLE_MIN;
	window_max = base + size < DELEGABLE_MAX ? base + size : DELEGABLE_MAX;
}

struct granule *granule_find(uint64_t pa)
{
	if (!is_granule_aligned(pa) || pa < window_min || pa >= window_max)
		return NULL;
	return &granules[(pa - DELEGABLE_MIN) >> GRANULE_SHIFT];
}

uint64_t granule_address(const struct granule *granule)
{
	return DELEGABLE_MIN + ((uint64_t)(granule - granules) << GRANULE_SHIFT);
}

bool granule_lock(struct granule *granule, enum granule_state state)
{
	uint32_t word = __atomic_load_n(&granule->word, __ATOMIC_RELAXED);

	while ((word & STATE_MASK) == (uint32_t)state) {
		if ((word & LOCKED) != 0) {
			arch_relax();
			word = __atomic_load_n(&granule->word, __ATOMIC_RELAXED);
		} else if (__atomic_compare_exchange_n(&granule->word, &word, word | LOCKED, false,
						       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			return true;
		}
	}
	return false;
}

struct granule *granule_find_and_lock(uint64_t pa, enum granule_state state)
{
	struct granule *granule = granule_find(pa);

	return granule != NULL && granule_lock(granule, state) ? granule : NULL;
}

void granule_unlock(struct granule *granule)
{
	(void)__atomic_fetch_and(&granule->word, ~LOCKED, __ATOMIC_RELEASE);
}

void granule_unlock_as(struct granule *granule, enum granule_state state)
{
	uint32_t word = __atomic_load_n(&granule->word, __ATOMIC_RELAXED);

	/* Only the lock's holder changes the state, but anyone may change the count: flip just our bits. */
	(void)__atomic_fetch_xor(&granule->word, (word & STATE_MASK) ^ (uint32_t)state ^ LOCKED,
				 __ATOMIC_RELEASE);
}

void granule_release(struct granule *granule)
{
	if (!arch_wipe(granule_address(granule)))
		panic("granule: no memory behind a granule in use");
	granule_unlock_as(granule, GRANULE_DELEGATED);
}

void granule_get(struct granule *granule, uint32_t count)
{
	(void)__atomic_fetch_add(&granule->word, count << COUNT_SHIFT, __ATOMIC_RELAXED);
}

void granule_put(struct granule *granule, uint32_t count)
{
	/* Release: who sees the count drop also sees what was done under the reference. */
	(void)__atomic_fetch_sub(&granule->word, count << COUNT_SHIFT, __ATOMIC_RELEASE);
}

uint32_t granule_references(const struct granule *granule)
{
	return __atomic_load_n(&granule->word, __ATOMIC_ACQUIRE) >> COUNT_SHIFT;
}

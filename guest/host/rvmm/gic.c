/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs and list registers. */
#include "gic.h"

#include <string.h>

/* ICH_LR<n>_EL2. EOI: with HW = 0, the guest's EOI asks for the host's attention. */
#define LR_PENDING        (UINT64_C(1) << 62)
#define LR_ACTIVE         (UINT64_C(1) << 63)
#define LR_GROUP1         (UINT64_C(1) << 60)
#define LR_PRIORITY_SHIFT 48
#define LR_EOI            (UINT64_C(1) << 41)

/* ICH_HCR_EL2. */
#define HCR_LRENPIE        (UINT64_C(1) << 2)
#define HCR_NPIE           (UINT64_C(1) << 3)
#define HCR_EOICOUNT_SHIFT 27
#define HCR_EOICOUNT_MASK  31U

/* ICC_SGI1R_EL1. */
#define SGI_IRM         (UINT64_C(1) << 40)
#define SGI_AFFINITIES  (UINT64_C(0xff) << 48 | UINT64_C(0xff) << 32 | UINT64_C(0xff) << 16)
#define SGI_RANGE       (UINT64_C(0xf) << 44)
#define SGI_INTID_SHIFT 24

/* ---- Inputs ------------------------------------------------------------------------------------------------ */

static void set_line(struct gic_bank *bank, unsigned int i, bool level)
{
	uint32_t bit = UINT32_C(1) << i;

	if (level && (bank->line & bit) == 0 && (bank->edge & bit) != 0)
		bank->latch |= bit;
	bank->line = level ? bank->line | bit : bank->line & ~bit;
}

uint32_t gic_set_ppi(struct gic *gic, unsigned int cpu, unsigned int intid, bool level)
{
	if (cpu >= gic->cpus || intid < 16 || intid >= 32)
		return 0;
	set_line(&gic->cpu[cpu].private, intid, level);
	return gic_waiting(gic, cpu) ? UINT32_C(1) << cpu : 0;
}

uint32_t gic_set_spi(struct gic *gic, unsigned int spi, bool level)
{
	if (spi >= 32)
		return 0;
	set_line(&gic->shared, spi, level);
	return gic_wake_mask(gic);
}

uint32_t gic_send_sgi(struct gic *gic, unsigned int cpu, uint64_t value)
{
	uint32_t bit = UINT32_C(1) << (value >> SGI_INTID_SHIFT & 15), targets = (uint32_t)(value & 0xffff);
	unsigned int i;

	if ((value & SGI_IRM) != 0)
		targets = ~(UINT32_C(1) << cpu);
	else if ((value & (SGI_AFFINITIES | SGI_RANGE)) != 0)
		return 0; /* vCPUs are 0.0.0.0 to 0.0.0.7 */
	for (i = 0; i < gic->cpus; i++)
		if ((targets >> i & 1) != 0)
			gic->cpu[i].private.latch |= bit;
	return gic_wake_mask(gic);
}

/* vCPUs that can take one of these SPIs, which somebody has let go of. */
static uint32_t takers(const struct gic *gic, uint32_t set)
{
	const struct gic_bank *shared = &gic->shared;
	uint32_t mask = 0;

	for (set &= gic_deliverable(gic, shared) & ~shared->active & ~shared->held; set != 0; set &= set - 1)
		mask |= UINT32_C(1) << gic_target(gic, (unsigned int)__builtin_ctz(set));
	return mask & ((UINT32_C(1) << gic->cpus) - 1);
}

uint32_t gic_deactivate(struct gic *gic, unsigned int cpu, uint64_t intid)
{
	uint32_t bit = UINT32_C(1) << (intid & 31);

	if (intid >= GIC_INTIDS)
		return 0;
	if (intid >= 32) {
		gic->shared.active &= ~bit;
		return takers(gic, bit);
	}
	gic->cpu[cpu].private.active &= ~bit;
	return gic_waiting(gic, cpu) ? UINT32_C(1) << cpu : 0;
}

/* ---- List registers ---------------------------------------------------------------------------------------- */

/* One interrupt that wants a list register. */
struct candidate {
	struct gic_bank *bank;
	uint16_t intid;
	uint8_t priority;
	bool active;
};

static unsigned int collect(struct gic_bank *bank, uint32_t set, unsigned int first, struct candidate *list)
{
	unsigned int i, count = 0;

	for (; set != 0; set &= set - 1) {
		i = (unsigned int)__builtin_ctz(set);
		list[count++] = (struct candidate){ .bank = bank, .intid = (uint16_t)(first + i),
						    .priority = bank->priority[i], .active = (bank->active >> i & 1) != 0 };
	}
	return count;
}

/* Active ones first (their EOI must find them), then the more urgent. */
static bool before(const struct candidate *a, const struct candidate *b)
{
	if (a->active != b->active)
		return a->active;
	return a->priority != b->priority ? a->priority < b->priority : a->intid < b->intid;
}

static void sort(struct candidate *list, unsigned int count)
{
	unsigned int i, j;

	for (i = 1; i < count; i++) {
		struct candidate moved = list[i];

		for (j = i; j > 0 && before(&moved, &list[j - 1]); j--)
			list[j] = list[j - 1];
		list[j] = moved;
	}
}

/* More than fit: see that the most urgent pending one is among the first `lrs`, and that the rest gets its turn. */
static uint64_t choose(struct candidate *list, unsigned int count, unsigned int lrs)
{
	unsigned int actives = 0;
	uint64_t hcr = 0;

	while (actives < count && list[actives].active)
		actives++;
	if (actives >= lrs && actives < count) {
		struct candidate swapped = list[lrs - 1];

		list[lrs - 1] = list[actives];
		list[actives] = swapped;
	}
	for (unsigned int i = lrs; i < count; i++)
		hcr |= list[i].active ? HCR_LRENPIE : HCR_NPIE;
	return hcr;
}

static uint64_t list_register(const struct gic *gic, const struct candidate *entry)
{
	uint32_t bit = UINT32_C(1) << (entry->intid & 31);
	bool edge = (entry->bank->edge & bit) != 0, is_pending = (gic_deliverable(gic, entry->bank) & bit) != 0;
	uint64_t lr = entry->intid | LR_GROUP1 | (uint64_t)entry->priority << LR_PRIORITY_SHIFT;

	if (entry->active)
		lr |= LR_ACTIVE;
	if (!edge) {
		/* At its EOI the level is looked at again; until then it is not pending a second time. */
		lr |= LR_EOI;
		is_pending = is_pending && !entry->active;
	}
	return is_pending ? lr | LR_PENDING : lr;
}

static void list(struct gic *gic, unsigned int cpu, const struct candidate *entry, uint64_t *lr)
{
	struct gic_cpu *me = &gic->cpu[cpu];
	uint32_t bit = UINT32_C(1) << (entry->intid & 31);

	*lr = list_register(gic, entry);
	if ((*lr & LR_PENDING) != 0)
		entry->bank->latch &= ~(bit & entry->bank->edge);
	entry->bank->held |= bit;
	if (entry->intid >= 32)
		gic->owner[entry->intid - 32] = (uint8_t)cpu;
	me->intid[me->listed++] = entry->intid;
}

void gic_fill(struct gic *gic, unsigned int cpu, uint64_t lrs[GIC_MAX_LRS], uint64_t *hcr)
{
	struct gic_bank *private = &gic->cpu[cpu].private, *shared = &gic->shared;
	struct candidate candidates[GIC_INTIDS];
	unsigned int i, count;

	memset(lrs, 0, GIC_MAX_LRS * sizeof(lrs[0]));
	*hcr = 0;
	gic->cpu[cpu].listed = 0;
	count = collect(private, gic_deliverable(gic, private) | private->active, 0, candidates);
	count += collect(shared, gic_mine(gic, cpu, (gic_deliverable(gic, shared) | shared->active) & ~shared->held), 32,
			 candidates + count);
	if (count > gic->lrs) {
		sort(candidates, count);
		*hcr = choose(candidates, count, gic->lrs);
		count = gic->lrs;
	}
	for (i = 0; i < count; i++)
		list(gic, cpu, &candidates[i], &lrs[i]);
}

static void fold_one(struct gic_bank *bank, unsigned int i, uint64_t lr)
{
	uint32_t bit = UINT32_C(1) << i;

	bank->held &= ~bit;
	bank->active = (lr & LR_ACTIVE) != 0 ? bank->active | bit : bank->active & ~bit;
	/* An edge that was not taken yet is pending again; one that was written to a level interrupt ends when taken. */
	if ((lr & LR_PENDING) != 0)
		bank->latch |= bit & bank->edge;
	else
		bank->latch &= ~bit | bank->edge;
}

/* EOIs of active interrupts that had no list register: the most urgent ended first. */
static uint32_t end_unlisted(struct gic *gic, unsigned int cpu, unsigned int count)
{
	struct gic_bank *private = &gic->cpu[cpu].private, *shared = &gic->shared;
	struct candidate candidates[GIC_INTIDS];
	unsigned int i, found;
	uint32_t wake = 0;

	found = collect(private, private->active & ~private->held, 0, candidates);
	found += collect(shared, gic_mine(gic, cpu, shared->active & ~shared->held), 32, candidates + found);
	sort(candidates, found);
	for (i = 0; i < found && i < count; i++)
		wake |= gic_deactivate(gic, cpu, candidates[i].intid);
	return wake;
}

uint32_t gic_fold(struct gic *gic, unsigned int cpu, const uint64_t lrs[GIC_MAX_LRS], uint64_t hcr)
{
	struct gic_cpu *me = &gic->cpu[cpu];
	unsigned int i, ended = (unsigned int)(hcr >> HCR_EOICOUNT_SHIFT) & HCR_EOICOUNT_MASK;
	uint32_t released = 0, wake = 0;

	if (ended != 0)
		wake = end_unlisted(gic, cpu, ended);
	for (i = 0; i < me->listed; i++) {
		unsigned int intid = me->intid[i];

		fold_one(intid < 32 ? &me->private : &gic->shared, intid & 31, lrs[i]);
		if (intid >= 32)
			released |= UINT32_C(1) << (intid - 32);
	}
	me->listed = 0;
	return wake | takers(gic, released);
}

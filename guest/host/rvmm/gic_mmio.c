/* SPDX-License-Identifier: Apache-2.0 */
/* The GIC's frames (IHI 0069, chapter 12). Registers that are not here read as zero and ignore writes. */
#include "gic_mmio.h"

/* Distributor; the redistributor's SGI frame has the banked ones at the same places. */
enum {
	GICD_CTLR = 0x0000,
	GICD_TYPER = 0x0004,
	GICD_IIDR = 0x0008,
	IGROUPR = 0x0080,
	ISENABLER = 0x0100,
	ICENABLER = 0x0180,
	ISPENDR = 0x0200,
	ICPENDR = 0x0280,
	ISACTIVER = 0x0300,
	ICACTIVER = 0x0380,
	IPRIORITYR = 0x0400,
	ICFGR = 0x0c00,
	GICD_IROUTER = 0x6000,
	PIDR2 = 0xffe8,
};

/* Redistributor, its first frame. */
enum {
	GICR_IIDR = 0x0004,
	GICR_TYPER = 0x0008,
	GICR_WAKER = 0x0014,
	SGI_FRAME = 0x10000,
};

#define CTLR_ENABLE_GRP1 (1U << 1)
#define CTLR_ARE         (1U << 4)
#define CTLR_DS          (1U << 6)

#define TYPER_VALUE ((GIC_INTIDS / 32 - 1) | 9U << 19) /* ITLinesNumber; IDbits: 10 */
#define IIDR_VALUE  0x0100043bU                        /* implementer Arm, product 1 */
#define PIDR2_VALUE 0x3bU                              /* architecture: GICv3 */

#define WAKER_SLEEP  (1U << 1)
#define WAKER_ASLEEP (1U << 2)

#define PRIORITY_MASK 0xf8U /* 5 bits, as the list registers have */

/* ---- 32 interrupts: what both kinds of frame have ---------------------------------------------------------- */

/* Two bits an interrupt, the upper one: edge. */
static uint32_t configuration(const struct gic_bank *bank, unsigned int half)
{
	uint32_t value = 0;
	unsigned int i;

	for (i = 0; i < 16; i++)
		value |= (bank->edge >> (16 * half + i) & 1) << (2 * i + 1);
	return value;
}

static void configure(struct gic_bank *bank, unsigned int half, uint32_t value)
{
	unsigned int i;

	for (i = 0; i < 16; i++) {
		uint32_t bit = UINT32_C(1) << (16 * half + i);

		bank->edge = (value >> (2 * i + 1) & 1) != 0 ? bank->edge | bit : bank->edge & ~bit;
	}
}

/* One bit an interrupt; `array` is where the registers begin. */
static uint32_t bank_read(const struct gic_bank *bank, unsigned int array)
{
	switch (array) {
	case IGROUPR:
		return bank->group;
	case ISENABLER:
	case ICENABLER:
		return bank->enabled;
	case ISPENDR:
	case ICPENDR:
		return bank->latch | (bank->line & ~bank->edge);
	case ISACTIVER:
	case ICACTIVER:
		return bank->active;
	default:
		return 0;
	}
}

static void bank_write(struct gic_bank *bank, unsigned int array, uint32_t value)
{
	switch (array) {
	case IGROUPR:
		bank->group = value;
		break;
	case ISENABLER:
		bank->enabled |= value;
		break;
	case ICENABLER:
		bank->enabled &= ~value;
		break;
	case ISPENDR:
		bank->latch |= value;
		break;
	case ICPENDR:
		bank->latch &= ~value;
		break;
	case ISACTIVER:
		bank->active |= value;
		break;
	case ICACTIVER:
		bank->active &= ~value;
		break;
	default:
		break;
	}
}

/* Bank of the interrupts 32 * `number` and up as this frame sees them; NULL: none. `cpu`: of a redistributor, or -1. */
static struct gic_bank *bank_of(struct gic *gic, int cpu, unsigned int number)
{
	if (cpu >= 0)
		return number == 0 ? &gic->cpu[cpu].private : NULL;
	return number == 1 ? &gic->shared : NULL;
}

/* One bit an interrupt: IGROUPR .. ICACTIVER, an array each 0x80 bytes. */
static uint32_t bits_access(struct gic *gic, int cpu, unsigned int offset, bool write, uint32_t value)
{
	struct gic_bank *bank = bank_of(gic, cpu, (offset & 0x7f) / 4);
	unsigned int array = offset & ~0x7fU, i;
	uint32_t fresh;

	if (bank == NULL)
		return 0;
	if (!write)
		return bank_read(bank, array);
	fresh = array == ISACTIVER ? value & ~bank->active : 0;
	bank_write(bank, array, value);
	for (i = 0; i < 32 && cpu < 0; i++)
		if ((fresh >> i & 1) != 0)
			gic->owner[i] = (uint8_t)(gic_target(gic, i) < gic->cpus ? gic_target(gic, i) : 0);
	return 0;
}

static uint32_t priority_access(struct gic *gic, int cpu, unsigned int offset, unsigned int bytes, bool write, uint32_t value)
{
	unsigned int first = offset - IPRIORITYR, i;
	struct gic_bank *bank = bank_of(gic, cpu, first / 32);
	uint32_t result = 0;

	if (bank == NULL)
		return 0;
	for (i = 0; i < bytes; i++) {
		uint8_t *priority = &bank->priority[(first + i) % 32];

		if (write)
			*priority = (uint8_t)(value >> (8 * i) & PRIORITY_MASK);
		result |= (uint32_t)*priority << (8 * i);
	}
	return result;
}

static uint32_t configuration_access(struct gic *gic, int cpu, unsigned int offset, bool write, uint32_t value)
{
	unsigned int word = (offset - ICFGR) / 4;
	struct gic_bank *bank = bank_of(gic, cpu, word / 2);

	if (bank == NULL)
		return 0;
	/* SGIs are edges for good. */
	if (write && (cpu < 0 || word % 2 != 0))
		configure(bank, word % 2, value);
	return configuration(bank, word % 2);
}

/* ---- Distributor ------------------------------------------------------------------------------------------- */

static uint32_t control(struct gic *gic, bool write, uint32_t value)
{
	if (write)
		gic->enabled = (value & CTLR_ENABLE_GRP1) != 0;
	return CTLR_DS | CTLR_ARE | (gic->enabled ? CTLR_ENABLE_GRP1 : 0);
}

static uint32_t route_access(struct gic *gic, unsigned int offset, bool write, uint32_t value)
{
	unsigned int intid = (offset - GICD_IROUTER) / 8, shift = offset % 8 * 8;
	uint64_t *route;

	if (intid < 32 || intid >= GIC_INTIDS)
		return 0;
	route = &gic->route[intid - 32];
	if (write)
		*route = (*route & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)value << shift;
	*route &= UINT64_C(0xff80ffffff); /* affinities and IRM */
	return (uint32_t)(*route >> shift);
}

/* One aligned access of at most 4 bytes to what both kinds of frame have; others than 4 bytes only to priorities. */
static uint32_t common_access(struct gic *gic, int cpu, unsigned int offset, unsigned int bytes, bool write, uint32_t value)
{
	if (offset >= IPRIORITYR && offset < IPRIORITYR + GIC_INTIDS)
		return priority_access(gic, cpu, offset, bytes, write, value);
	if (bytes != 4)
		return 0;
	if (offset >= IGROUPR && offset < IPRIORITYR)
		return bits_access(gic, cpu, offset, write, value);
	if (offset >= ICFGR && offset < ICFGR + GIC_INTIDS / 4)
		return configuration_access(gic, cpu, offset, write, value);
	return 0;
}

static uint32_t distributor_access(struct gic *gic, unsigned int offset, unsigned int bytes, bool write, uint32_t value)
{
	if (offset >= GICD_IROUTER && offset < GICD_IROUTER + 8 * GIC_INTIDS && bytes == 4)
		return route_access(gic, offset, write, value);
	switch (offset) {
	case GICD_CTLR:
		return control(gic, write && bytes == 4, value);
	case GICD_TYPER:
		return TYPER_VALUE;
	case GICD_IIDR:
		return IIDR_VALUE;
	case PIDR2:
		return PIDR2_VALUE;
	default:
		return common_access(gic, -1, offset, bytes, write, value);
	}
}

/* ---- Redistributors ---------------------------------------------------------------------------------------- */

static uint32_t waker(struct gic_cpu *cpu, bool write, uint32_t value)
{
	if (write)
		cpu->awake = (value & WAKER_SLEEP) == 0;
	return cpu->awake ? 0 : WAKER_SLEEP | WAKER_ASLEEP;
}

static uint32_t redistributor_access(struct gic *gic, unsigned int cpu, unsigned int offset, unsigned int bytes, bool write,
				     uint32_t value)
{
	if (offset >= SGI_FRAME)
		return common_access(gic, (int)cpu, offset - SGI_FRAME, bytes, write, value);
	switch (offset) {
	case GICR_IIDR:
		return IIDR_VALUE;
	case GICR_TYPER: /* processor number, Last */
		return cpu << 8 | (cpu + 1 == gic->cpus ? 1U << 4 : 0);
	case GICR_TYPER + 4: /* affinity */
		return cpu;
	case GICR_WAKER:
		return waker(&gic->cpu[cpu], write && bytes == 4, value);
	case PIDR2:
		return PIDR2_VALUE;
	default:
		return 0;
	}
}

/* ---- Frames ------------------------------------------------------------------------------------------------ */

static uint32_t frame_access(struct gic *gic, uint64_t address, unsigned int bytes, bool write, uint32_t value)
{
	uint64_t offset;

	if (within(address, bytes, GICD_BASE, GICD_BYTES))
		return distributor_access(gic, (unsigned int)(address - GICD_BASE), bytes, write, value);
	offset = address - GICR_BASE;
	return redistributor_access(gic, (unsigned int)(offset / GICR_BYTES), (unsigned int)(offset % GICR_BYTES), bytes,
				    write, value);
}

bool gic_access(struct gic *gic, uint64_t address, unsigned int bytes, bool write, uint64_t *value, uint32_t *wake)
{
	uint64_t low, high = 0;
	unsigned int word = bytes < 4 ? bytes : 4;

	*wake = 0;
	if ((bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8) || (address & (bytes - 1)) != 0 ||
	    !(within(address, bytes, GICD_BASE, GICD_BYTES) ||
	      within(address, bytes, GICR_BASE, GICR_BYTES * gic->cpus)))
		return false;
	low = frame_access(gic, address, word, write, (uint32_t)*value);
	if (bytes == 8)
		high = frame_access(gic, address + 4, 4, write, (uint32_t)(*value >> 32));
	if (!write)
		*value = high << 32 | low;
	else
		*wake = gic_wake_mask(gic);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stage 1 of the RMM itself. The tables are static, built once with the MMU off by the first CPU, and never
 * change afterwards, so no code here needs a lock.
 *
 *   image        identity, Realm; text RX, constants RO, rest RW; a hole below each stack
 *   UART0        identity, Device
 *   DRAM         identity, Realm, RW: granules given to the RMM
 *   DRAM + 64 G  Non-secure, RW, all but the RMM's own: what the host passes by address. An access faults
 *                while the granule is in another physical address space; access.S makes that an answer.
 */
#include "asm.h"
#include "target.h"
#include "types.h"

#define ENTRIES     512U
#define TABLES      24U

/* VMSAv8-64 stage 1 descriptors, single-VA regime with E2H = 0 (Arm ARM D8.3). */
#define DESC_TABLE  UINT64_C(3)
#define DESC_BLOCK  UINT64_C(1)
#define DESC_PAGE   UINT64_C(3)
#define DESC_NS     BIT(5)
#define DESC_AP1    BIT(6)            /* RES1 at EL2 */
#define DESC_RO     BIT(7)
#define DESC_ISH    (UINT64_C(3) << 8)
#define DESC_AF     BIT(10)
#define DESC_XN     BIT(54)
#define ATTR_NORMAL (UINT64_C(0) << 2)
#define ATTR_DEVICE (UINT64_C(1) << 2)

#define MEMORY      (DESC_AF | DESC_AP1 | DESC_ISH | ATTR_NORMAL)
#define MAP_RX      (MEMORY | DESC_RO)
#define MAP_RO      (MEMORY | DESC_RO | DESC_XN)
#define MAP_RW      (MEMORY | DESC_XN)
#define MAP_NS      (MEMORY | DESC_XN | DESC_NS)
#define MAP_DEVICE  (DESC_AF | DESC_AP1 | DESC_XN | DESC_NS | ATTR_DEVICE)

#define ADDRESS     MASK(47, 12)

static uint64_t tables[TABLES][ENTRIES] __attribute__((aligned(GRANULE_SIZE)));
static unsigned int used_tables = 1; /* table 0 is the root, level 1 */

struct mmu_registers mmu_registers;

_Static_assert(offsetof(struct mmu_registers, mair) == 0, "read by mmu_enable");
_Static_assert(offsetof(struct mmu_registers, tcr) == 8, "read by mmu_enable");
_Static_assert(offsetof(struct mmu_registers, ttbr0) == 16, "read by mmu_enable");
_Static_assert(offsetof(struct mmu_registers, sctlr) == 24, "read by mmu_enable");

static unsigned int level_shift(unsigned int level)
{
	return GRANULE_SHIFT + 9U * (3U - level);
}

/* The table that `entry` points to; a fresh one if there is none yet. */
static uint64_t *next_table(uint64_t *entry)
{
	if (*entry == 0) {
		if (used_tables == TABLES)
			panic("mmu: out of tables");
		*entry = (uint64_t)(uintptr_t)tables[used_tables++] | DESC_TABLE;
	}
	return (uint64_t *)(uintptr_t)(*entry & ADDRESS);
}

/* Write one descriptor, as high in the tree as alignment and size allow; return the bytes it covers. */
static uint64_t map_one(uint64_t va, uint64_t pa, uint64_t size, uint64_t attributes)
{
	uint64_t *table = tables[0];
	unsigned int level;

	for (level = 1; level <= 3; level++) {
		uint64_t span = UINT64_C(1) << level_shift(level);
		uint64_t *entry = &table[(va >> level_shift(level)) % ENTRIES];

		if (level == 3 || (((va | pa) & (span - 1)) == 0 && size >= span && *entry == 0)) {
			*entry = pa | attributes | (level == 3 ? DESC_PAGE : DESC_BLOCK);
			return span;
		}
		table = next_table(entry);
	}
	return 0; /* not reached: level 3 always returns */
}

static void map(uint64_t va, uint64_t pa, uint64_t size, uint64_t attributes)
{
	while (size != 0) {
		uint64_t done = map_one(va, pa, size, attributes);

		va += done;
		pa += done;
		size -= done;
	}
}

static void map_section(const char *start, const char *end, uint64_t attributes)
{
	uint64_t address = (uint64_t)(uintptr_t)start;

	map(address, address, (uint64_t)(end - start), attributes);
}

static void map_stacks(void)
{
	uint64_t slot = (uint64_t)(uintptr_t)stacks_start;

	for (; slot < (uint64_t)(uintptr_t)stacks_end; slot += STACK_SLOT)
		map(slot + STACK_SLOT / 2, slot + STACK_SLOT / 2, STACK_SLOT / 2, MAP_RW);
}

void mmu_build(void)
{
	/* used_tables is in .data: a static initialiser that is not zero. */
	map_section(image_start, text_end, MAP_RX);
	map_section(text_end, rodata_end, MAP_RO);
	map_section(rodata_end, image_end, MAP_RW);
	map_stacks();
	map(EL3_SHARED_PAGE, EL3_SHARED_PAGE, GRANULE_SIZE, MAP_RW);
	map(UART0_BASE, UART0_BASE, GRANULE_SIZE, MAP_DEVICE);
	map(DELEGABLE_MIN, DELEGABLE_MIN, DELEGABLE_MAX - DELEGABLE_MIN, MAP_RW);
	map(NS_ALIAS + NS_MIN, NS_MIN, RMM_BASE - NS_MIN, MAP_NS);
	map(NS_ALIAS + DELEGABLE_MIN, DELEGABLE_MIN, DELEGABLE_MAX - DELEGABLE_MIN, MAP_NS);

	mmu_registers.mair = UINT64_C(0x00ff); /* 0: normal write-back, 1: Device-nGnRnE */
	/* T0SZ 25 (39 bits, root at level 1), write-back inner-shareable walks, 40-bit output, RES1 bits. */
	mmu_registers.tcr = UINT64_C(25) | BIT(8) | BIT(10) | (UINT64_C(3) << 12) | (UINT64_C(2) << 16) |
			    BIT(23) | BIT(31);
	mmu_registers.ttbr0 = (uint64_t)(uintptr_t)tables[0];
	/* RES1 and M, A, C, SA, I, WXN: a page that is writable is never executable, whatever its descriptor. */
	mmu_registers.sctlr = UINT64_C(0x30c50830) | BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(12) | BIT(19);
}

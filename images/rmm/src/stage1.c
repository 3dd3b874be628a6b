/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1.h"

#include "arch.h"
#include "esr.h"
#include "realm_page.h"

#define SCTLR_M    BIT(0)
#define VA_UPPER   BIT(55)             /* TTBR1's half */
#define TCR_DS     BIT(59)             /* FEAT_LPA2: addresses of 52 bits with granules of 4 and 16 KiB */
#define DESC_VALID BIT(0)
#define DESC_TABLE BIT(1)
#define LAST_LEVEL 3
#define GRANULE_64K 16U
#define MAX_BITS    52U

/* The half of the address space that an address is in. */
struct half {
	uint64_t ttbr;
	unsigned int bits, granule;   /* log2 of its bytes, of a table's */
	bool wide;
};

/* T0SZ or T1SZ is in the lowest bits. */
static unsigned int half_bits(uint64_t size)
{
	unsigned int bits = 64 - (unsigned int)(size & 63);

	return bits < MAX_BITS ? bits : MAX_BITS;
}

static struct half half_of(const struct stage1 *stage1, uint64_t va)
{
	/* TG0 and TG1 are coded differently; reserved ones are taken as 4 KiB, and sizes above the largest as that. */
	static const uint8_t tg0[4] = { 12, 16, 14, 12 }, tg1[4] = { 12, 14, 12, 16 };
	bool wide = (stage1->tcr & TCR_DS) != 0;

	if ((va & VA_UPPER) != 0)
		return (struct half){ stage1->ttbr1, half_bits(stage1->tcr >> 16), tg1[stage1->tcr >> 30 & 3], wide };
	return (struct half){ stage1->ttbr0, half_bits(stage1->tcr), tg0[stage1->tcr >> 14 & 3], wide };
}

/* The address in a descriptor; its low bits are attributes, or below a block's size. */
static uint64_t output(const struct half *half, uint64_t descriptor)
{
	if (half->granule == GRANULE_64K)
		return (descriptor & MASK(47, 16)) | (descriptor >> 12 & 15) << 48;
	if (half->wide)
		return (descriptor & MASK(49, 12)) | (descriptor >> 8 & 3) << 50;
	return descriptor & MASK(47, 12);
}

/* A descriptor in the realm's memory; none that is valid if there is no such memory. */
static uint64_t read_descriptor(const struct rec *rec, uint64_t ipa)
{
	struct realm_page page;
	uint64_t descriptor;

	if (realm_page_open(rec, ipa, &page) != PAGE_OPEN)
		return 0;
	descriptor = *(const uint64_t *)(const void *)(page.bytes + (ipa & GRANULE_MASK));
	realm_page_close(&page);
	return descriptor;
}

static uint64_t status_at(int level)
{
	return level < 0 ? FSC_ADDRESS_SIZE_MINUS_1 : FSC_ADDRESS_SIZE_0 + (uint64_t)level;
}

uint64_t stage1_outside_status(const struct rec *rec, uint64_t va)
{
	const struct rd *rd = arch_granule(granule_address(rec->realm));
	struct stage1 stage1;
	struct half half;
	unsigned int stride, shift;
	uint64_t table, descriptor;
	int level;

	arch_rec_stage1(&stage1);
	half = half_of(&stage1, va);
	stride = half.granule - 3;
	if ((stage1.sctlr & SCTLR_M) == 0 || half.bits <= half.granule)
		return FSC_ADDRESS_SIZE_0;
	level = LAST_LEVEL + 1 - (int)((half.bits - half.granule + stride - 1) / stride);
	table = output(&half, half.ttbr & MASK(47, 1));
	va &= BIT(half.bits) - 1;
	for (; level <= LAST_LEVEL; level++) {
		shift = half.granule + stride * (unsigned int)(LAST_LEVEL - level);
		descriptor = read_descriptor(rec, table + (va >> shift) * 8);
		table = output(&half, descriptor);
		va &= BIT(shift) - 1;
		if (table >= realm_ipa_end(rd))
			return status_at(level);
		if ((descriptor & (DESC_VALID | DESC_TABLE)) != (DESC_VALID | DESC_TABLE))
			break;
	}
	/* The base of the tables is outside; or they say something else by now. */
	return FSC_ADDRESS_SIZE_0;
}

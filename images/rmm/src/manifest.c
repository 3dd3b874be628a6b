/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest.h"

#define BAD_MANIFEST_VERSION (-6)
#define BAD_MANIFEST_DATA    (-7)

/* Byte layout as EL3 writes it. */
struct raw_manifest {
	uint32_t version, padding;
	uint64_t platform_data;
	uint64_t banks_count, banks, banks_checksum;
	uint64_t consoles_count, consoles, consoles_checksum;
};
struct raw_bank {
	uint64_t base, size;
};
struct raw_console {
	uint64_t base, map_pages, name, clock, baud, flags;
};
_Static_assert(offsetof(struct raw_manifest, banks_count) == 16, "manifest 0.3");
_Static_assert(offsetof(struct raw_manifest, banks_checksum) == 32, "manifest 0.3");
_Static_assert(offsetof(struct raw_manifest, consoles_count) == 40, "manifest 0.3");
_Static_assert(offsetof(struct raw_manifest, consoles_checksum) == 56, "manifest 0.3");
_Static_assert(sizeof(struct raw_manifest) == 64, "manifest 0.3");
_Static_assert(sizeof(struct raw_console) == 48, "manifest 0.3");

/* The `bytes` at the absolute address `pointer`, if they lie in the page that starts at `address`. */
static const void *inside(const void *page, uint64_t address, uint64_t pointer, uint64_t bytes)
{
	uint64_t offset = pointer - address;

	if (pointer < address || offset % 8 != 0 || offset > GRANULE_SIZE - bytes)
		return NULL;
	return (const char *)page + offset;
}

static uint64_t sum(const uint64_t *words, size_t count)
{
	uint64_t total = 0;

	while (count-- != 0)
		total += *words++;
	return total;
}

static bool parse_dram(const struct raw_manifest *raw, const void *page, uint64_t address, struct manifest *out)
{
	const struct raw_bank *bank = inside(page, address, raw->banks, sizeof(*bank));

	/* One bank is what the platform has; the granule table covers no second one. */
	if (raw->banks_count != 1 || bank == NULL)
		return false;
	if (raw->banks_count + raw->banks + raw->banks_checksum + sum((const uint64_t *)bank, 2) != 0)
		return false;
	if (!is_granule_aligned(bank->base | bank->size) || bank->base + bank->size < bank->base)
		return false;
	out->dram_base = bank->base;
	out->dram_size = bank->size;
	return true;
}

static bool parse_console(const struct raw_manifest *raw, const void *page, uint64_t address, struct manifest *out)
{
	const struct raw_console *console = inside(page, address, raw->consoles, sizeof(*console));
	uint64_t total;

	out->console = 0;
	if (raw->consoles_count == 0)
		return true;
	if (console == NULL)
		return false;
	total = raw->consoles_count + raw->consoles + raw->consoles_checksum + sum((const uint64_t *)console, 6);
	/* TF-A 2.12's QEMU port leaves the name out of the sum, so both sums are right. */
	if (total != 0 && total != console->name)
		return false;
	out->console = console->base;
	return true;
}

int64_t manifest_parse(const void *page, uint64_t address, struct manifest *out)
{
	const struct raw_manifest *raw = page;

	/* Consoles came with 0.3; a later minor only adds. */
	if (raw->version >> 16 != 0 || (raw->version & 0xffff) < 3)
		return BAD_MANIFEST_VERSION;
	if (!parse_dram(raw, page, address, out) || !parse_console(raw, page, address, out))
		return BAD_MANIFEST_DATA;
	return 0;
}

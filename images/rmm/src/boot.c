/* SPDX-License-Identifier: Apache-2.0 */
/* Boot contract with EL3: manifest (RMM-EL3 interface 0.4, manifest 0.3), per-CPU set-up. */
#include "attest.h"
#include "granule.h"
#include "manifest.h"
#include "target.h"

/* Status words of RMM_BOOT_COMPLETE. */
#define BOOT_OK              0
#define BOOT_BAD_VERSION     (-2)
#define BOOT_TOO_MANY_CPUS   (-3)
#define BOOT_BAD_SHARED_PAGE (-5)

static void banner(const struct manifest *manifest)
{
	console_open(manifest->console);
	console_text("RMM: RMI 1.0, DRAM ");
	console_hex(manifest->dram_base);
	console_text(" + ");
	console_hex(manifest->dram_size);
	console_text("\n");
}

/* Without EL3's key and token everything works but attestation. */
static void start_attestation(void)
{
	const char *missing = attest_init();

	if (missing != NULL) {
		console_text("RMM: no attestation: ");
		console_text(missing);
		console_text("\n");
	}
}

static void wipe_large(void)
{
	char *page;

	for (page = large_start; page < large_end; page += GRANULE_SIZE)
		(void)access_zero(page, GRANULE_SIZE);
}

int64_t boot_cold(uint64_t cpu, uint64_t version, uint64_t cpus, uint64_t shared_page)
{
	struct manifest manifest;
	int64_t status;

	wipe_large();
	/* Major number in 30:16: 0. Any minor is at least what we use. */
	if ((version & MASK(30, 16)) != 0)
		return BOOT_BAD_VERSION;
	if (cpus > MAX_CPUS)
		return BOOT_TOO_MANY_CPUS;
	if (shared_page != EL3_SHARED_PAGE)
		return BOOT_BAD_SHARED_PAGE;
	/* The manifest's page is EL3's to reuse afterwards: parse once, keep values only. */
	status = manifest_parse((const void *)(uintptr_t)shared_page, shared_page, &manifest);
	if (status != BOOT_OK)
		return status;
	banner(&manifest);
	granule_init(manifest.dram_base, manifest.dram_size);
	start_attestation();
	return boot_warm(cpu);
}

int64_t boot_warm(uint64_t cpu)
{
	cpu_init((unsigned int)cpu);
	cpu_init_traps();
	ISB();
	return BOOT_OK;
}

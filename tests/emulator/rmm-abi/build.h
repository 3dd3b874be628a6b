/* SPDX-License-Identifier: Apache-2.0 */
/* Realms: made, filled and taken apart again. */
#ifndef BUILD_H
#define BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "abi.h"

#define REALM_TABLES 24U
#define REALM_PAGES  600U
#define REALM_RECS   20U

/* Layout of the standard realm: the image lies at REALM_BASE (realm_ops.h), with room of 16 pages. */
#define S2SZ        33U
#define PROTECTED   BIT(S2SZ - 1)
#define ALIAS       PROTECTED                    /* the Unprotected half */
#define IMAGE_BASE  UINT64_C(0x40000000)
#define IMAGE_TOP   UINT64_C(0x40010000)
#define SPARE_BASE  UINT64_C(0x40010000)         /* same table, nothing there */
#define LATER_BASE  UINT64_C(0x40200000)         /* two level 2 entries with RIPAS RAM and no memory */
#define LATER_TOP   UINT64_C(0x40600000)
#define SHARED_BASE (ALIAS + UINT64_C(0x40000000)) /* table without entries */
#define DEVICE_BASE (ALIAS + UINT64_C(0x09000000)) /* nothing there: MMIO */
#define UNMEASURED_IPA UINT64_C(0x4000f000)
#define UNMEASURED_VALUE UINT64_C(0x1000)
#define START_GPR(n) (UINT64_C(0x1111111111111111) * ((n) + 1))

/* Level 2 or 3 entry sizes. */
#define BLOCK (PAGE << 9)
#define GIB   (PAGE << 18)

struct realm_table {
	uint64_t ipa, level, pa;
};

struct realm_page {
	uint64_t ipa, pa;
};

struct realm_rec {
	uint64_t pa;
	uint64_t aux[MAX_AUX];
};

struct realm {
	char name;                               /* in the `# rim` lines; none of a realm without a name */
	uint8_t hash_algo;
	uint64_t flags;                          /* of RmiRealmParams */
	uint64_t rd, root, roots, aux_count;
	uint64_t params, run;                    /* pages of the normal world: RmiRealmParams or RmiRecParams, RmiRecRun */
	unsigned int tables, pages, recs;
	struct realm_table table[REALM_TABLES];
	struct realm_page page[REALM_PAGES];
	struct realm_rec rec[REALM_RECS];
};

/* RmiRealmParams with the smallest realm of this shape; `rtt_base` is left to the caller. */
struct realm_params *fill_realm_params(uint64_t page, unsigned int s2sz, int level, unsigned int roots,
				       uint16_t vmid);
/* All return the status of the first command that failed, or RMI_SUCCESS. */
uint64_t realm_create(struct realm *realm, unsigned int s2sz, int level, unsigned int roots, uint16_t vmid);
uint64_t realm_table(struct realm *realm, uint64_t ipa, uint64_t level);
/* Tables down to level 3. */
uint64_t realm_tables(struct realm *realm, uint64_t ipa);
/* Entries of size `step`; tells the test what is measured. */
uint64_t realm_ram(struct realm *realm, uint64_t base, uint64_t top, uint64_t step);
uint64_t realm_data(struct realm *realm, uint64_t ipa, uint64_t source, uint64_t flags);
uint64_t realm_unknown(struct realm *realm, uint64_t ipa);
/* The realm payload at REALM_BASE: tables, RIPAS, measured pages. */
uint64_t realm_image_load(struct realm *realm);
/* REC with the index of its turn, gprs START_GPR(0..7). */
uint64_t realm_rec(struct realm *realm, uint64_t mpidr, uint64_t flags);
/* Parameters for the realm's next REC: delegated aux granules and all; the caller fills in the rest. */
struct rec_params *realm_rec_params(struct realm *realm, struct realm_rec *rec);
void rec_release(struct realm *realm, struct realm_rec *rec);
/* Forget the page at `ipa`, which the caller destroyed, and give it back. */
bool realm_forget_page(struct realm *realm, uint64_t ipa);
bool realm_forget_table(struct realm *realm, uint64_t ipa, uint64_t level);
uint64_t realm_destroy_recs(struct realm *realm);
uint64_t realm_destroy(struct realm *realm);
/* MPIDR (RmiRecMpidr) of the REC with this index. */
uint64_t rec_mpidr(uint64_t index);

extern const uint64_t realm_image[], realm_image_end[];

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The boot manifest that EL3 leaves in the shared page (RMM-EL3 interface, manifest 0.3). */
#ifndef RMM_MANIFEST_H
#define RMM_MANIFEST_H

#include "types.h"

/* What the RMM needs from it. */
struct manifest {
	uint64_t dram_base, dram_size;
	uint64_t console;             /* 0: none */
};

/* Parse the manifest in `page`, which EL3 knows by `address` (its pointers are absolute).
 * Returns 0 or the status for RMM_BOOT_COMPLETE. */
int64_t manifest_parse(const void *page, uint64_t address, struct manifest *out);

#endif

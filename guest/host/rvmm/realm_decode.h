/* SPDX-License-Identifier: Apache-2.0 */
/* What the syndrome of a synchronous REC exit says; pure. */
#ifndef RVMM_REALM_DECODE_H
#define RVMM_REALM_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "rmi_structs.h"

enum sync_kind {
	SYNC_WFX,          /* WFI and WFIT: until an interrupt */
	SYNC_WFE,          /* WFE and WFET: an event that we do not see */
	SYNC_SGI,          /* value written to ICC_SGI1R_EL1 */
	SYNC_DIR,          /* value written to ICC_DIR_EL1 */
	SYNC_SYSREG,       /* another one: nothing to do */
	SYNC_PROTECTED,    /* a page of the realm's own is missing at `ipa` */
	SYNC_SHARED,       /* shared RAM is missing at `ipa`, which has no shared bit */
	SYNC_MMIO,         /* an access that can be emulated */
	SYNC_NOTHING,      /* nothing is there, or the access cannot be emulated */
	SYNC_BAD,          /* not possible with RAM of this size, or unknown */
};

struct sync {
	enum sync_kind kind;
	uint64_t ipa;
	uint64_t value;
	unsigned int bytes;
	bool write;
	bool timed;        /* of SYNC_WFX: no longer than until the counter is at `value` */
};

/* `ram_bytes`: size of the guest's RAM. */
struct sync realm_decode_sync(const struct rmi_rec_exit *exit, uint64_t ram_bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * ID registers as a realm sees them: allow-lists, so that a feature that nobody here knows of stays hidden (RMM
 * specification 1.0, A3.1). The monitor answers a realm's reads with it, the VMM sets up a normal VM with it: twins differ
 * in nothing but the world they run in.
 *
 * The header is freestanding.
 */
#ifndef REALM_ID_H
#define REALM_ID_H

#include <stdint.h>

#define REALM_ID_FIELD(low) (UINT64_C(15) << (low))

/* ID_AA64PFR0_EL1: AArch64 only at EL1 and EL0; FP, AdvSIMD, GIC, DIT, CSV2, CSV3. CSV2 is at most 1: 2 would offer
 * SCXTNUM_ELx, which nobody switches. */
static inline uint64_t realm_id_pfr0(uint64_t hardware)
{
	uint64_t csv2 = hardware & REALM_ID_FIELD(56);
	uint64_t kept = hardware & (REALM_ID_FIELD(16) | REALM_ID_FIELD(20) | REALM_ID_FIELD(24) | REALM_ID_FIELD(48) |
				    REALM_ID_FIELD(60));

	return kept | UINT64_C(0x11) | (csv2 != 0 ? UINT64_C(1) << 56 : 0);
}

/* ID_AA64DFR0_EL1: debug version and double lock as they are; break- and watchpoints as the realm was made with. */
static inline uint64_t realm_id_dfr0(uint64_t hardware, unsigned int bps, unsigned int wps)
{
	return (hardware & (REALM_ID_FIELD(0) | REALM_ID_FIELD(36))) | (uint64_t)(bps & 15) << 12 |
	       (uint64_t)(wps & 15) << 20;
}

/*
 * Value of the ID register op0 = 3, op1 = 0, CRn = 0, CRm = `crm` (1..7), `op2` for a realm on a CPU that has `hardware`
 * there. `bps`, `wps`: breakpoints and watchpoints less one.
 */
static inline uint64_t realm_id_value(unsigned int crm, unsigned int op2, uint64_t hardware, unsigned int bps,
				      unsigned int wps)
{
	switch (crm << 4 | op2) {
	case 0x40:
		return realm_id_pfr0(hardware);
	case 0x41: /* PFR1: BT, SSBS */
		return hardware & (REALM_ID_FIELD(0) | REALM_ID_FIELD(4));
	case 0x50:
		return realm_id_dfr0(hardware, bps, wps);
	case 0x60: /* ISAR0: all but TME */
		return hardware & ~REALM_ID_FIELD(24);
	case 0x61: /* ISAR1: all but LS64 */
		return hardware & ~REALM_ID_FIELD(60);
	case 0x62: /* ISAR2: the lower half but MOPS, whose instructions HCRX_EL2 keeps undefined */
		return hardware & UINT64_C(0xffffffff) & ~REALM_ID_FIELD(16);
	case 0x70: /* MMFR0: all but FGT */
		return hardware & ~REALM_ID_FIELD(56);
	case 0x71: /* MMFR1: HAFDBS, VMIDBits, HPDS, PAN, XNX, ETS, AFP, nTLBPA, TIDCP1, CMOW */
		return hardware & ~(REALM_ID_FIELD(8) | REALM_ID_FIELD(16) | REALM_ID_FIELD(24) | REALM_ID_FIELD(32) |
				    REALM_ID_FIELD(40));
	case 0x72: /* MMFR2: all but NV, FWB, EVT */
		return hardware & ~(REALM_ID_FIELD(24) | REALM_ID_FIELD(40) | REALM_ID_FIELD(56));
	default: /* not allocated, or nothing in it is for a realm; AArch32's read as zero */
		return 0;
	}
}

#endif

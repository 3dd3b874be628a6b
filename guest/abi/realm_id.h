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

/* ID_AA64DFR0_EL1: debug version and double lock as they are; break- and watchpoints as the realm was made with, context-
 * aware ones among them. */
static inline uint64_t realm_id_dfr0(uint64_t hardware, unsigned int bps, unsigned int wps)
{
	uint64_t context = hardware >> 28 & 15;

	if (context > bps)
		context = bps;
	return (hardware & (REALM_ID_FIELD(0) | REALM_ID_FIELD(36))) | (uint64_t)(bps & 15) << 12 |
	       (uint64_t)(wps & 15) << 20 | context << 28;
}

/*
 * Value of the ID register op0 = 3, op1 = 0, CRn = 0, CRm = `crm` (1..7), `op2` for a realm on a CPU that has `hardware`
 * there. `bps`, `wps`: breakpoints and watchpoints less one. What only means something at EL2 or in AArch32 state is kept
 * where KVM shows it and does not let it be changed.
 */
static inline uint64_t realm_id_value(unsigned int crm, unsigned int op2, uint64_t hardware, unsigned int bps,
				      unsigned int wps)
{
	switch (crm << 4 | op2) {
	case 0x11: /* ID_PFR1_EL1: GIC */
		return hardware & REALM_ID_FIELD(28);
	case 0x12: /* ID_DFR0_EL1: CopDbg */
		return hardware & REALM_ID_FIELD(0);
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
	case 0x62: /* ISAR2: the lower half but MOPS, whose instructions HCRX_EL2 keeps undefined, and WFxT: the emulator traps
		    * WFIT as if it were WFI, so that its time-out would be lost */
		return hardware & UINT64_C(0xffffffff) & ~(REALM_ID_FIELD(0) | REALM_ID_FIELD(16));
	case 0x70: /* MMFR0: all but FGT */
		return hardware & ~REALM_ID_FIELD(56);
	case 0x71: /* MMFR1: HAFDBS, VMIDBits, VH, HPDS, PAN, XNX, ETS, AFP, nTLBPA, TIDCP1 */
		return hardware & ~(REALM_ID_FIELD(16) | REALM_ID_FIELD(24) | REALM_ID_FIELD(32) | REALM_ID_FIELD(40) |
				    REALM_ID_FIELD(56));
	case 0x72: /* MMFR2: all but NV */
		return hardware & ~REALM_ID_FIELD(24);
	default: /* not allocated, or nothing in it is for a realm */
		return 0;
	}
}

/*
 * CLIDR_EL1 for a CPU with this CTR_EL0. The real geometry of caches is nobody's business in a virtual machine (set and way
 * operations do nothing); what is left is what software must know to keep instructions and data coherent: without IDC there
 * is a level 1 data cache to clean, without DIC an instruction cache to invalidate, and one unified or data cache goes down
 * to the point of coherency. KVM describes the same to its guests.
 */
static inline uint64_t realm_id_clidr(uint64_t ctr)
{
	uint64_t idc = ctr >> 28 & 1, dic = ctr >> 29 & 1;
	uint64_t level = idc != 0 && dic == 0 ? 2 : 1;
	uint64_t type = idc != 0 ? 4 : 2, clidr = dic != 0 ? 0 : 1;

	clidr |= type << 3 * (level - 1) | level << 24;
	return idc != 0 ? clidr : clidr | UINT64_C(1) << 27 | UINT64_C(1) << 21;
}

/* CCSIDR_EL1 for the cache that CSSELR_EL1 = `csselr` selects: one set, one way, lines as CTR_EL0 says. */
static inline uint64_t realm_id_ccsidr(uint64_t ctr, uint64_t csselr)
{
	/* CTR_EL0 has log2 of 4-byte words, CCSIDR_EL1 log2 of 16-byte units. */
	return ((csselr & 1) != 0 ? ctr & 15 : ctr >> 16 & 15) - 2;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the counter must know about an A64 opcode: can it end a run of
 * instructions that are certain to be executed together?
 */
#ifndef A64_H
#define A64_H

#include <stdbool.h>
#include <stdint.h>

/* Bits hi..lo of an opcode. */
static inline uint32_t a64_bits(uint32_t insn, unsigned hi, unsigned lo)
{
	return insn >> lo & ((UINT32_C(1) << (hi - lo + 1)) - 1);
}

/*
 * "Data-processing (2 source)" and "(1 source)", bits [28:21] = 11010110.
 * Pointer authentication may be trapped to EL2 or EL3 (HCR_EL2.API, SCR_EL3.API)
 * and, with FEAT_FPAC, AUT* faults; whether it does is only known at run time.
 * 1 source: opcode2 = 00000 is RBIT, REV, CLZ, ...; 00001 is PAC*, AUT*, XPAC*.
 * 2 source: opcode = 001100 is PACGA.
 */
static inline bool a64_dp_1or2_source_is_plain(uint32_t insn)
{
	if (a64_bits(insn, 30, 30))
		return a64_bits(insn, 20, 16) == 0;
	return a64_bits(insn, 15, 10) != 0x0c;
}

/*
 * True if execution certainly goes on with the next instruction.
 *
 * The decision is taken on op0 = bits [28:25], the top level of the Arm ARM's
 * "A64 instruction set encoding". Only groups that touch neither memory nor the
 * PC nor system state qualify:
 *
 *   100x  Data processing -- immediate     except 1-source immediate (AUTIASPPC, ...)
 *   x101  Data processing -- register      except pointer authentication
 *   x111  Data processing -- scalar floating-point and Advanced SIMD
 *
 * Everything else (loads and stores, branches, exception generation, system
 * instructions and hints, SVE, SME, reserved) counts as able to leave.
 *
 * Two kinds of exception remain in the three groups: unallocated encodings and
 * access traps of floating point (CPACR_EL1.FPEN and the like). Both are settled
 * when QEMU translates, because what they depend on is part of a translation
 * block's key, and the translator ends the block at the instruction that raises
 * them (gen_exception_insn() sets DISAS_NORETURN). Such an instruction is thus the
 * last of its block and nothing follows it that could be over-counted. Trapped
 * floating-point exceptions (FPCR.IOE, ...) are RAZ/WI in QEMU.
 */
static inline bool a64_is_plain(uint32_t insn)
{
	switch (a64_bits(insn, 28, 25)) {
	case 0x8: case 0x9:
		return a64_bits(insn, 30, 23) != 0xe7; /* op 11, 100111: 1-source immediate */
	case 0x5: case 0xd:
		if (a64_bits(insn, 28, 21) == 0xd6)
			return a64_dp_1or2_source_is_plain(insn);
		return true;
	case 0x7: case 0xf:
		return true;
	default:
		return false;
	}
}

#endif

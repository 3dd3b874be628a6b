/* SPDX-License-Identifier: Apache-2.0 */
/* arch.h for R-EL2: memory, EL3 calls, translation maintenance, per-CPU registers. */
#include "arch.h"

#include "asm.h"
#include "target.h"

void *arch_granule(uint64_t pa)
{
	return (void *)(uintptr_t)pa;
}

/* The RMM's own memory has no such alias: touching it faults like everything else that is not the host's. */
static bool may_be_ns(uint64_t pa)
{
	return pa >= NS_MIN && pa < NS_MAX;
}

bool arch_ns_read(void *to, uint64_t pa, size_t bytes)
{
	return may_be_ns(pa) && access_copy(to, (const void *)(uintptr_t)(NS_ALIAS + pa), bytes);
}

bool arch_ns_write(uint64_t pa, const void *from, size_t bytes)
{
	return may_be_ns(pa) && access_copy((void *)(uintptr_t)(NS_ALIAS + pa), from, bytes);
}

bool arch_wipe(uint64_t pa)
{
	return access_wipe((void *)(uintptr_t)pa);
}

static bool el3_call(uint64_t function, uint64_t pa)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = pa;

	/* SMCCC: EL3 keeps x4 and up; x2 and x3 are results too. */
	__asm__ volatile("smc #0" : "+r"(x0), "+r"(x1)::"x2", "x3", "memory");
	return x0 == 0;
}

bool arch_delegate(uint64_t pa)
{
	return el3_call(EL3_DELEGATE, pa);
}

bool arch_undelegate(uint64_t pa)
{
	return el3_call(EL3_UNDELEGATE, pa);
}

void arch_table_barrier(void)
{
	__asm__ volatile("dsb ishst\n\tisb" ::: "memory");
}

void arch_invalidate(uint64_t vttbr)
{
	/* The VMID that the instruction acts on is the one in VTTBR_EL2; a REC's entry sets its own again. */
	WRITE_SYSREG(vttbr_el2, vttbr);
	__asm__ volatile("dsb ishst\n\t"
			 "isb\n\t"
			 "tlbi vmalls12e1is\n\t"
			 "dsb ish\n\t"
			 "isb" ::: "memory");
}

unsigned int arch_cpu(void)
{
	return (unsigned int)READ_SYSREG(tpidr_el2);
}

unsigned int arch_gic_list_registers(void)
{
	/* ICH_VTR_EL2.ListRegs is one less. */
	return (unsigned int)(READ_SYSREG(ich_vtr_el2) & 31) + 1;
}

void arch_relax(void)
{
	__asm__ volatile("yield");
}

void cpu_init(unsigned int number)
{
	WRITE_SYSREG(tpidr_el2, number);
}

/* ---- ID registers ---------------------------------------------------------------------------------------- */

uint64_t arch_cache_type(void)
{
	return READ_SYSREG(ctr_el0);
}

#define ID(crm, op2, name) case (crm) << 3 | (op2): return READ_SYSREG(name)

uint64_t arch_id_register(unsigned int crm, unsigned int op2)
{
	switch (crm << 3 | op2) {
	ID(1, 1, id_pfr1_el1);
	ID(1, 2, id_dfr0_el1);
	ID(4, 0, id_aa64pfr0_el1);
	ID(4, 1, id_aa64pfr1_el1);
	ID(5, 0, id_aa64dfr0_el1);
	ID(6, 0, id_aa64isar0_el1);
	ID(6, 1, id_aa64isar1_el1);
	ID(6, 2, S3_0_c0_c6_2);
	ID(7, 0, id_aa64mmfr0_el1);
	ID(7, 1, id_aa64mmfr1_el1);
	ID(7, 2, id_aa64mmfr2_el1);
	ID(7, 3, S3_0_c0_c7_3);
	default: return 0;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* arch.h for R-EL2: memory, EL3 calls, translation maintenance, per-CPU registers. */
#include "arch.h"

#include "asm.h"
#include "cpu.h"
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
	cpu_init_traps();
	ISB();
}

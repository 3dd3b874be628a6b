/* SPDX-License-Identifier: Apache-2.0 */
/* arch.h for R-EL2: memory, EL3 calls, translation maintenance, per-CPU registers. */
#include "arch.h"

#include "asm.h"
#include "es384.h"
#include "sha256.h"
#include "target.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

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

bool arch_ns_read_parts(void *to, uint64_t pa, const struct part *parts)
{
	return may_be_ns(pa) && access_parts(to, (const void *)(uintptr_t)(NS_ALIAS + pa), parts);
}

bool arch_ns_write_parts(uint64_t pa, const void *from, const struct part *parts)
{
	return may_be_ns(pa) && access_parts((void *)(uintptr_t)(NS_ALIAS + pa), from, parts);
}

bool arch_ns_zero(uint64_t pa, size_t bytes)
{
	return may_be_ns(pa) && access_zero((void *)(uintptr_t)(NS_ALIAS + pa), bytes);
}

bool arch_wipe(uint64_t pa)
{
	return access_zero((void *)(uintptr_t)pa, GRANULE_SIZE);
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

/* ---- Attestation: through the page that EL3 and the RMM share, at boot, on one CPU --------------------------- */

/* RMM-EL3 interface: the only curve, and the service's buffer, which has to lie in that page. */
#define CURVE_P384 0

/* Returns how many bytes EL3 put there, 0 if none or not all. */
static uint64_t el3_attest(uint64_t function, uint64_t argument)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = EL3_SHARED_PAGE;
	register uint64_t x2 __asm__("x2") = GRANULE_SIZE;
	register uint64_t x3 __asm__("x3") = argument;

	__asm__ volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory");
	if (x0 != 0 || x1 > GRANULE_SIZE || (function == EL3_PLATFORM_TOKEN && x2 != 0))
		return 0;
	return x1;
}

bool arch_attest_key(uint8_t *key)
{
	uint8_t *shared = (uint8_t *)(uintptr_t)EL3_SHARED_PAGE;
	bool given = el3_attest(EL3_ATTEST_KEY, CURVE_P384) == ATTEST_SCALAR_BYTES;

	if (given)
		memcpy(key, shared, ATTEST_SCALAR_BYTES);
	/* EL3 and the RMM have it; nobody else reads this page, and nothing has to stay in it. */
	memset(shared, 0, ATTEST_SCALAR_BYTES);
	return given;
}

size_t arch_platform_token(const uint8_t *challenge, uint8_t *token)
{
	uint8_t *shared = (uint8_t *)(uintptr_t)EL3_SHARED_PAGE;
	uint64_t bytes;

	memcpy(shared, challenge, SHA256_BYTES);
	bytes = el3_attest(EL3_PLATFORM_TOKEN, SHA256_BYTES);
	memcpy(token, shared, bytes);
	return bytes;
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

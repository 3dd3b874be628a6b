/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything the core asks of the machine. Implemented for R-EL2 on TF-A by arch_target.c and, where a REC is switched,
 * rec_target.c; for the unit tests on the build host, by tests/unit/rmm/arch_host.c.
 */
#ifndef RMM_ARCH_H
#define RMM_ARCH_H

#include "es384.h"
#include "types.h"

struct rec;

/* The RMM's own view of a granule that is in the Realm physical address space. */
void *arch_granule(uint64_t pa);

/* Normal-world memory, by physical address; `pa` and `bytes` are multiples of 8 and the range stays in one
 * granule. False if that is not possible: the granule is not in the Non-secure physical address space (any more),
 * has no memory behind it, or the address is none of memory. */
bool arch_ns_read(void *to, uint64_t pa, size_t bytes);
/* The same of some parts of a structure that is at `pa` there. */
bool arch_ns_read_parts(void *to, uint64_t pa, const struct part *parts);
bool arch_ns_write_parts(uint64_t pa, const void *from, const struct part *parts);
/* Zero it; here both are multiples of 2 KiB. */
bool arch_ns_zero(uint64_t pa, size_t bytes);

/* Zero a granule through the RMM's view; false if there is no memory behind it. */
bool arch_wipe(uint64_t pa);

/* Change the physical address space of a granule (EL3: RMM_GTSI_DELEGATE, _UNDELEGATE). */
bool arch_delegate(uint64_t pa);
bool arch_undelegate(uint64_t pa);

/* Forget all of stages 1 and 2 of the translation regime `vttbr`, on all CPUs, complete on return. There is none for one
 * page: with it all of stage 1 would have to go anyway, as what is cached of both stages combined is not found by IPA. */
void arch_invalidate(uint64_t vttbr);
/* Make writes to translation tables visible to the walkers before what follows. */
void arch_table_barrier(void);

/* SHA-256 compression of `blocks` 64-byte blocks (FIPS 180-4, 6.2). */
void arch_sha256_blocks(uint32_t state[8], const uint8_t *data, size_t blocks);

/* Attestation. EL3's Realm Attestation Key (a scalar of P-384); false if it gives none. */
bool arch_attest_key(uint8_t *key);
/* EL3's platform token for the hash of the public key, into one page; its size, 0 if it gives none. */
size_t arch_platform_token(const uint8_t *challenge, uint8_t *token);
/* The key's point, x and y; false if it is no key. Takes as long as a signature, and cannot be left. */
bool arch_public_key(const uint8_t *key, uint8_t *point);
/* A signature on one of SIGNERS stacks (signer.c): make it ready, go on with it until it is finished or an interrupt comes,
 * clear it away. The key stays where it is meanwhile. The first two may be on different CPUs. A finished one has been
 * cleared away. */
void arch_sign_start(unsigned int number, const uint8_t *key, const uint8_t *message, size_t bytes);
enum signing arch_sign(unsigned int number, uint8_t *signature);
void arch_sign_wipe(unsigned int number);

/* Number of the calling CPU, below MAX_CPUS. */
unsigned int arch_cpu(void);
/* Number of GIC list registers. */
unsigned int arch_gic_list_registers(void);
/* Hint in a wait loop. */
void arch_relax(void);
/* An invariant is broken; does not return. */
void panic(const char *text) __attribute__((noreturn));

/* Running a realm. Between load and save the EL1 and EL0 state of the calling CPU is the REC's: `sys`, `fp` and the
 * GIC and timer fields of struct rec are stale. */
void arch_rec_reset(struct rec *rec);
void arch_rec_load(struct rec *rec);
void arch_rec_save(struct rec *rec);
/* Execute the realm until something traps. The value is a TRAP_* of asm.h; gprs, pc, pstate, esr, far, hpfar say
 * the rest. */
unsigned int arch_rec_run(struct rec *rec);
/* Take an exception to the loaded REC's EL1, as if its next instruction had caused it: ESR_EL1 = `esr`, and
 * FAR_EL1 = `far` if the class has one. */
void arch_rec_inject(struct rec *rec, uint64_t esr, uint64_t far);

/* EL1 registers that say how the loaded REC translates. */
struct stage1 {
	uint64_t sctlr, tcr, ttbr0, ttbr1;
};
void arch_rec_stage1(struct stage1 *stage1);

/* Value of an ID register of group op0 3, op1 0, CRn 0, as the CPU has it; 0 if not allocated. */
uint64_t arch_id_register(unsigned int crm, unsigned int op2);
/* CTR_EL0. */
uint64_t arch_cache_type(void);

#endif

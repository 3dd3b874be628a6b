/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that assembly and C share; C asserts that they match its structures. */
#ifndef RMM_ASM_H
#define RMM_ASM_H

#define STACK_SHIFT 13                   /* 8 KiB; the 8 KiB below are a hole */
#define STACK_SLOT  (2 << STACK_SHIFT)

#define RMM_MAX_CPUS 32
/* Stacks behind those of the CPUs, on which signatures are made (signer.h). */
#define SIGNERS 64

/* How a realm's run came to an end; equals the vector slot (sync, IRQ, FIQ, SError). */
#define TRAP_SYNC   0
#define TRAP_IRQ    1
#define TRAP_FIQ    2
#define TRAP_SERROR 3

/* How a signature's stack was left: one of the latter two, or for good; bytes that lie on it meanwhile. */
#define SIGNER_END   4
#define SIGNER_FRAME 272

/* EL3 services (TF-A, RMM-EL3 communication interface 0.4). */
#define EL3_REQ_COMPLETE  0xC400018F
#define EL3_DELEGATE      0xC40001B0
#define EL3_UNDELEGATE    0xC40001B1
#define EL3_ATTEST_KEY    0xC40001B2
#define EL3_PLATFORM_TOKEN 0xC40001B3
#define EL3_BOOT_COMPLETE 0xC40001CF

#endif

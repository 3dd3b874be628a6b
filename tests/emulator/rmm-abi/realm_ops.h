/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host asks the realm payload to do: an interpreter whose requests and replies travel in the registers of
 * RSI_HOST_CALL. Request: gprs[0] = operation, from gprs[1] on its arguments. Reply: imm = operation, gprs[1] on the
 * results; the R_ fields tell which exceptions the operation took.
 */
#ifndef REALM_OPS_H
#define REALM_OPS_H

#define OP_HELLO     1  /* the first call of a CPU: MPIDR_EL1, then x0..x7 as they were at the start */
#define OP_INVERT    2  /* gprs[1..30] inverted */
#define OP_SMC       3  /* x0..x10 -> x0..x10 */
#define OP_LOAD      4  /* address, LOAD_ kind -> value */
#define OP_STORE     5  /* address, STORE_ kind, value */
#define OP_EXECUTE   6  /* address */
#define OP_WFI       7
#define OP_WFE       8
#define OP_HVC       9
#define OP_UDF       10
#define OP_GIC_ON    11 /* priority mask open, group 1 on */
#define OP_IRQ       12 /* iterations with interrupts open, 1 = end the interrupt that was taken */
#define OP_TIMER     13 /* 0 virtual, 1 physical; ticks from now; iterations; then as OP_IRQ */
#define OP_SGI       14 /* value for ICC_SGI1R_EL1 */
#define OP_SET_STATE 15 /* pattern for EL1 and FP registers */
#define OP_GET_STATE 16 /* pattern -> how many registers differ, index of the first */
#define OP_SPIN      17 /* iterations */
#define OP_COUNTERS  18 /* -> CNTVCT, CNTPCT, CNTFRQ */
#define OP_SYSREG    19 /* SYSREG_ number -> value */
#define OP_BENCH_RSI   20 /* marker ids from, repetitions: RSI_VERSION */
#define OP_BENCH_CALLS 21 /* repetitions: HOST_CALL */
#define OP_BENCH_MMIO  22 /* address, repetitions: 32-bit loads */
#define OP_TOUCH       23 /* address, pages: one store each */
#define OP_EOI         24 /* interrupt to end and deactivate */
#define OP_READ        25 /* address -> READ_WORDS words from there on */
#define OP_BENCH_TOKEN  26 /* marker ids from, page: TOKEN_INIT to the last byte */
#define OP_BENCH_EXTEND 27 /* marker ids from, repetitions: MEASUREMENT_EXTEND with 64 bytes */
#define OP_TRANSLATED   28 /* level, address, 1 = as a table: load from TRANSLATED_VA by tables that lead there at that level */
#define OP_KEY          29 /* two halves: APIAKey, and instructions that use it are on */
#define OP_SIGN         30 /* pointer, modifier -> the pointer signed */
#define OP_AUTHENTICATE 31 /* signed pointer, modifier -> the pointer, or one that is none */

#define TRANSLATED_VA 0x80000000

#define READ_WORDS 22 /* as many as there is room for in front of R_ESR */

#define LOAD_B   0
#define LOAD_H   1
#define LOAD_W   2
#define LOAD_X   3
#define LOAD_SBX 4
#define LOAD_SHX 5
#define LOAD_SWX 6
#define LOAD_SBW 7
#define LOAD_SHW 8
#define LOAD_ZR  9
#define LOAD_PAIR 10 /* no syndrome for the host */

#define STORE_B  0
#define STORE_H  1
#define STORE_W  2
#define STORE_X  3
#define STORE_ZR 4

#define SYSREG_MPIDR 0
#define SYSREG_PFR0  1
#define SYSREG_DFR0  2
#define SYSREG_PMCR  3
#define SYSREG_ZFR0  4
#define SYSREG_PFR1  5
#define SYSREG_ISAR1 7
#define SYSREG_ISAR2 8
#define SYSREG_RESERVED 6 /* S3_0_C0_C7_7: not allocated, reads as zero */

#define R_ESR   24 /* of the last synchronous exception, 0 if there was none */
#define R_FAR   25
#define R_ELR   26
#define R_COUNT 27 /* of synchronous exceptions */
#define R_IRQ   28 /* interrupt acknowledged last */
#define R_IRQS  29 /* how many */

#define REALM_BASE  0x40000000 /* IPA where the payload is linked */
#define REALM_CPUS  2

/* Marker event of the benchmark (orch_marker.h: first free number). */
#define BENCH_EVENT 0x100

#endif

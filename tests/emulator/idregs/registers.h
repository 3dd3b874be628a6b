/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* The registers that are compared, by their encoding: X(op0, op1, CRn, CRm, op2). */
#ifndef REGISTERS_H
#define REGISTERS_H

#define ID_ROW(X, crm)                                                                                        \
	X(3, 0, 0, crm, 0) X(3, 0, 0, crm, 1) X(3, 0, 0, crm, 2) X(3, 0, 0, crm, 3)                           \
	X(3, 0, 0, crm, 4) X(3, 0, 0, crm, 5) X(3, 0, 0, crm, 6) X(3, 0, 0, crm, 7)

/* What Arm allots to feature identification: defined to be readable even where nothing is allocated. */
#define ID_FEATURES(X)                                                                                        \
	ID_ROW(X, 1) ID_ROW(X, 2) ID_ROW(X, 3) ID_ROW(X, 4) ID_ROW(X, 5) ID_ROW(X, 6) ID_ROW(X, 7)

/* MIDR_EL1, MPIDR_EL1, REVIDR_EL1, CTR_EL0, DCZID_EL0, CNTFRQ_EL0, CLIDR_EL1, AIDR_EL1; CCSIDR_EL1 of what CSSELR_EL1
 * selects. */
#define ID_OTHERS(X)                                                                                          \
	X(3, 0, 0, 0, 0) X(3, 0, 0, 0, 5) X(3, 0, 0, 0, 6) X(3, 3, 0, 0, 1) X(3, 3, 0, 0, 7) X(3, 3, 14, 0, 0) \
	X(3, 1, 0, 0, 1) X(3, 1, 0, 0, 7) X(3, 1, 0, 0, 0)

/* The rest of CRm 0: not allocated. */
#define ID_UNALLOCATED(X) X(3, 0, 0, 0, 1) X(3, 0, 0, 0, 2) X(3, 0, 0, 0, 3) X(3, 0, 0, 0, 4) X(3, 0, 0, 0, 7)

#define ID_NAME(op0, op1, crn, crm, op2) "S" #op0 "_" #op1 "_C" #crn "_C" #crm "_" #op2

#endif

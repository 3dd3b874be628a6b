/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SMC Calling Convention, as host and realm use it, and its calls by declared arity.
 *
 * A group of calls is one table: X(id, inputs, outputs, function) for each, with the numbers of argument registers
 * from x1 on and of result registers behind x0. Whoever declares or calls the functions expands that table by the macros
 * below, so a function gets exactly its arguments, and one whose parameters are not what its line says does not
 * compile. x0 of the caller is the function's value.
 */
#ifndef RMM_SMCCC_H
#define RMM_SMCCC_H

#include "types.h"

#define SMC_NOT_SUPPORTED (~UINT64_C(0))

/* The identifier in x0: its upper half is not part of it (SMCCC 1.3, 2.5), and bit 16 is the caller's hint that it holds no
 * live SVE state. */
static inline uint64_t smc_function(uint64_t x0)
{
	return x0 & 0xfffeffffU;
}

/* Result registers behind x0. */
struct out_1 {
	uint64_t x1;
};
struct out_2 {
	uint64_t x1, x2;
};
struct out_4 {
	uint64_t x1, x2, x3, x4;
};
struct out_8 {
	uint64_t x1_to_x8[8];
};

/* Argument registers where there are many; results may lie in the same place. */
struct in_8 {
	uint64_t x1_to_x8[8];
};
struct in_10 {
	uint64_t x1_to_x10[10];
};

/* Lists in which each element brings its comma; ARITY_LIST takes the first comma away. */
#define ARITY_LIST(list)         ARITY_LIST_(~list)
#define ARITY_LIST_(nothing, ...) __VA_ARGS__

/* Parameters, by number of inputs and outputs. */
#define IN_TYPES_0
#define IN_TYPES_1 , uint64_t
#define IN_TYPES_2 IN_TYPES_1, uint64_t
#define IN_TYPES_3 IN_TYPES_2, uint64_t
#define IN_TYPES_4 IN_TYPES_3, uint64_t
#define IN_TYPES_5 IN_TYPES_4, uint64_t
#define IN_TYPES_8 , const struct in_8 *
#define IN_TYPES_10 , const struct in_10 *
#define OUT_TYPES_0
#define OUT_TYPES_1 , struct out_1 *
#define OUT_TYPES_2 , struct out_2 *
#define OUT_TYPES_4 , struct out_4 *
#define OUT_TYPES_8 , struct out_8 *

/* Arguments for them: `x` points to the caller's x1. */
#define IN_VALUES_0(x)
#define IN_VALUES_1(x) , (x)[0]
#define IN_VALUES_2(x) IN_VALUES_1(x), (x)[1]
#define IN_VALUES_3(x) IN_VALUES_2(x), (x)[2]
#define IN_VALUES_4(x) IN_VALUES_3(x), (x)[3]
#define IN_VALUES_5(x) IN_VALUES_4(x), (x)[4]
#define IN_VALUES_8(x) , (const struct in_8 *)(x)
#define IN_VALUES_10(x) , (const struct in_10 *)(x)
#define OUT_VALUES_0(x)
#define OUT_VALUES_1(x) , (struct out_1 *)(x)
#define OUT_VALUES_2(x) , (struct out_2 *)(x)
#define OUT_VALUES_4(x) , (struct out_4 *)(x)
#define OUT_VALUES_8(x) , (struct out_8 *)(x)

#endif

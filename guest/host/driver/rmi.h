/* SPDX-License-Identifier: GPL-2.0-only */
/* RMI commands, and what this machine's RMM says of itself. */
#ifndef RMI_H
#define RMI_H

#include <linux/types.h>

#include "rmi_numbers.h"
#include "rmi_rules.h"
#include "rmi_structs.h"

struct dentry;

/* One RMI command; `out` receives x1..x4. Returns x0. Arguments that are left out are 0. */
#define rmi(out, command, ...) rmi_call(out, command, (const u64[5]){ __VA_ARGS__ })

/* For `calls`. */
void rmi_count(void);

/* Inline, and with no register but those that RMI 1.0 uses: arm_smccc_1_2_smc() moves eighteen each way. By the calling
 * convention (SMCCC 1.2) all above x17 is preserved. */
static __always_inline u64 rmi_call(u64 *out, u64 command, const u64 arguments[5])
{
	register u64 x0 asm("x0") = command;
	register u64 x1 asm("x1") = arguments[0];
	register u64 x2 asm("x2") = arguments[1];
	register u64 x3 asm("x3") = arguments[2];
	register u64 x4 asm("x4") = arguments[3];
	register u64 x5 asm("x5") = arguments[4];

	asm volatile("smc #0"
		     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x5)
		     :
		     : "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "memory");
	if (out) {
		out[0] = x1;
		out[1] = x2;
		out[2] = x3;
		out[3] = x4;
	}
	/* x0 is a caller's register: not before its value is elsewhere. */
	command = x0;
	rmi_count();
	return command;
}

/* Look for an RMM that makes realms, once; -ENODEV if there is none. */
int rmi_find(void);

/* Its version (the higher revision) and feature register 0. */
u32 rmi_version(void);
u64 rmi_features(void);

/* `calls`: how many there were. */
void rmi_debugfs(struct dentry *folder);

#endif

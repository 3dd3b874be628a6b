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
u64 rmi_call(u64 *out, u64 command, const u64 arguments[5]);
#define rmi(out, command, ...) rmi_call(out, command, (const u64[5]){ __VA_ARGS__ })

/* Look for an RMM that makes realms, once; -ENODEV if there is none. */
int rmi_find(void);

/* Its version (the higher revision) and feature register 0. */
u32 rmi_version(void);
u64 rmi_features(void);

/* `calls`: how many there were. */
void rmi_debugfs(struct dentry *folder);

#endif

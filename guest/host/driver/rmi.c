// SPDX-License-Identifier: GPL-2.0-only
/* The way to the RMM. */
#include <linux/arm-smccc.h>
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/printk.h>

#include "rmi.h"

static atomic64_t calls = ATOMIC64_INIT(0);
static u64 features0;
static u32 version;

u64 rmi_call(u64 *out, u64 command, const u64 arguments[5])
{
	struct arm_smccc_1_2_regs in = {
		.a0 = command, .a1 = arguments[0], .a2 = arguments[1], .a3 = arguments[2], .a4 = arguments[3],
		.a5 = arguments[4],
	};
	struct arm_smccc_1_2_regs result;

	arm_smccc_1_2_smc(&in, &result);
	atomic64_inc(&calls);
	if (out) {
		out[0] = result.a1;
		out[1] = result.a2;
		out[2] = result.a3;
		out[3] = result.a4;
	}
	return result.a0;
}

int rmi_find(void)
{
	u64 out[4], status = rmi(out, RMI_VERSION, RMI_ABI_1_0);

	if (status != RMI_SUCCESS) {
		pr_err("realm: no RMM that speaks RMI 1.0 (RMI_VERSION: status %llx, versions %llx to %llx)\n", status,
		       out[0], out[1]);
		return -ENODEV;
	}
	version = out[1];
	status = rmi(out, RMI_FEATURES, 0);
	if (status != RMI_SUCCESS) {
		pr_err("realm: RMI_FEATURES failed with status %llx: this RMM makes no realms\n", status);
		return -ENODEV;
	}
	features0 = out[0];
	return 0;
}

u32 rmi_version(void)
{
	return version;
}

u64 rmi_features(void)
{
	return features0;
}

static int calls_get(void *unused, u64 *value)
{
	*value = atomic64_read(&calls);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(calls_ops, calls_get, NULL, "%llu\n");

void rmi_debugfs(struct dentry *folder)
{
	debugfs_create_file_unsafe("calls", 0444, folder, NULL, &calls_ops);
}

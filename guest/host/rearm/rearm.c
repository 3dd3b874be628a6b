// SPDX-License-Identifier: GPL-2.0-only
/*
 * Give the CPUs of a restored machine their timers back.
 *
 * QEMU 10.0 saves the emulated timers' registers but, of the running timers behind them, only those of EL1. A VHE
 * host ticks on the EL2 virtual timer, which after a restore never fires again until its compare value is
 * written. Writing to /sys/module/rearm/parameters/now does that, on every CPU.
 */
#include <linux/module.h>
#include <linux/smp.h>
#include <asm/sysreg.h>

static void rearm(void *unused)
{
	/* With VHE the EL0 name reaches the EL2 register; the write makes QEMU compute its timer anew. */
	write_sysreg(read_sysreg(cntv_cval_el0), cntv_cval_el0);
}

static int now_set(const char *value, const struct kernel_param *parameter)
{
	on_each_cpu(rearm, NULL, 1);
	return 0;
}

static const struct kernel_param_ops now_ops = { .set = now_set };

module_param_cb(now, &now_ops, NULL, 0200);
MODULE_PARM_DESC(now, "write anything: every CPU's EL2 virtual timer is armed again");
MODULE_DESCRIPTION("Re-arms EL2 timers after the emulator restored the machine");
MODULE_LICENSE("GPL");

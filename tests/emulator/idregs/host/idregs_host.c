// SPDX-License-Identifier: GPL-2.0-only
/*
 * idregs-host: the ID registers that the host's kernel sees on the CPU of the reader, as the guest of the same name prints
 * them, in debugfs (idregs).
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/seq_file.h>

#include "registers.h"

static struct dentry *file;

#define SHOW(op0, op1, crn, crm, op2)                                                             \
	do {                                                                                      \
		u64 value;                                                                        \
		asm volatile("mrs %0, " ID_NAME(op0, op1, crn, crm, op2) : "=r"(value));          \
		seq_printf(seq, ID_NAME(op0, op1, crn, crm, op2) " 0x%016llx\n", value);          \
	} while (0);

static int idregs_show(struct seq_file *seq, void *unused)
{
	/* One CPU's view. CSSELR_EL1 may be changed by others only while we could be preempted. */
	preempt_disable();
	asm volatile("msr csselr_el1, xzr; isb");
	ID_OTHERS(SHOW)
	ID_FEATURES(SHOW)
	preempt_enable();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(idregs);

static int __init idregs_init(void)
{
	file = debugfs_create_file("idregs", 0400, NULL, NULL, &idregs_fops);
	return PTR_ERR_OR_ZERO(file);
}

static void __exit idregs_exit(void)
{
	debugfs_remove(file);
}

module_init(idregs_init);
module_exit(idregs_exit);
MODULE_DESCRIPTION("Shows the host's ID registers");
MODULE_LICENSE("GPL");

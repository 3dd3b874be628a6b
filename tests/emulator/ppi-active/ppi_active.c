// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing to /sys/module/ppi_active/parameters/now makes PPI 30 and 27 active on the CPU of the writer. KVM does that
 * with the interrupt that it hands to a guest; an active interrupt is not signalled again, also not to a realm.
 */
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_irq.h>
#include <linux/preempt.h>

static int irqs[2];

static int now_set(const char *value, const struct kernel_param *parameter)
{
	unsigned int i;
	int err = 0;

	preempt_disable();
	for (i = 0; i < ARRAY_SIZE(irqs); i++)
		err = err ?: irq_set_irqchip_state(irqs[i], IRQCHIP_STATE_ACTIVE, true);
	preempt_enable();
	return err;
}

static const struct kernel_param_ops now_ops = { .set = now_set };

static int __init ppi_active_init(void)
{
	struct device_node *node = of_find_compatible_node(NULL, NULL, "arm,armv8-timer");
	unsigned int i;

	if (!node)
		return -ENODEV;
	for (i = 0; i < ARRAY_SIZE(irqs); i++)
		irqs[i] = of_irq_get(node, 1 + i);
	of_node_put(node);
	return irqs[0] > 0 && irqs[1] > 0 ? 0 : -ENODEV;
}

static void __exit ppi_active_exit(void)
{
}

module_init(ppi_active_init);
module_exit(ppi_active_exit);
module_param_cb(now, &now_ops, NULL, 0200);
MODULE_PARM_DESC(now, "write anything: the EL1 timers' interrupts become active on this CPU");
MODULE_DESCRIPTION("Leaves timer interrupts active, as KVM may");
MODULE_LICENSE("GPL");

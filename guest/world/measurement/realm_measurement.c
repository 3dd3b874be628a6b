// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a realm is told about itself: /sys/kernel/realm/rim and rem0 to rem3, each a measurement in hexadecimal digits, as
 * many as the realm's hash algorithm makes, and /sys/kernel/realm/hash_algo. Read anew each time: a REM can be extended.
 */
#include <linux/arm-smccc.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sysfs.h>
#include <asm/rsi.h>

#define VALUE_WORDS 8   /* RSI_MEASUREMENT_READ (RMM specification 1.0, B5.3): x1 to x8, zero beyond the value */

/* RsiHashAlgorithm (B5.4). */
static const struct {
	const char *name;
	unsigned int bytes;
} algorithms[] = { { "sha-256", 32 }, { "sha-512", 64 } };

static struct kobject *folder;
static unsigned long algorithm;

static ssize_t show_measurement(unsigned long index, char *text)
{
	struct arm_smccc_1_2_regs in = { .a0 = SMC_RSI_MEASUREMENT_READ, .a1 = index }, out;
	__le64 value[VALUE_WORDS];
	unsigned int i;

	arm_smccc_1_2_smc(&in, &out);
	if (out.a0 != RSI_SUCCESS)
		return -EIO;
	for (i = 0; i < VALUE_WORDS; i++)
		value[i] = cpu_to_le64((&out.a1)[i]);
	return sysfs_emit(text, "%*phN\n", (int)algorithms[algorithm].bytes, value);
}

#define MEASUREMENT(_name, _index)                                                                        \
	static ssize_t _name##_show(struct kobject *object, struct kobj_attribute *attribute, char *text) \
	{                                                                                                 \
		return show_measurement(_index, text);                                                    \
	}                                                                                                 \
	static struct kobj_attribute _name##_attribute = __ATTR_RO(_name)

MEASUREMENT(rim, 0);
MEASUREMENT(rem0, 1);
MEASUREMENT(rem1, 2);
MEASUREMENT(rem2, 3);
MEASUREMENT(rem3, 4);

static ssize_t hash_algo_show(struct kobject *object, struct kobj_attribute *attribute, char *text)
{
	return sysfs_emit(text, "%s\n", algorithms[algorithm].name);
}
static struct kobj_attribute hash_algo_attribute = __ATTR_RO(hash_algo);

static struct attribute *attributes[] = {
	&rim_attribute.attr,  &rem0_attribute.attr, &rem1_attribute.attr,
	&rem2_attribute.attr, &rem3_attribute.attr, &hash_algo_attribute.attr,
	NULL,
};
static const struct attribute_group group = { .attrs = attributes };

static int find_algorithm(void)
{
	/* A page of the linear map: the RMM wants its IPA. */
	struct realm_config *config = (struct realm_config *)get_zeroed_page(GFP_KERNEL);
	unsigned long status;

	if (!config)
		return -ENOMEM;
	status = rsi_get_realm_config(config);
	algorithm = config->hash_algo;
	free_page((unsigned long)config);
	if (status == RSI_SUCCESS && algorithm < ARRAY_SIZE(algorithms))
		return 0;
	pr_err("realm_measurement: RSI_REALM_CONFIG: status %lx, hash algorithm %lx\n", status, algorithm);
	return -EIO;
}

static int __init realm_measurement_init(void)
{
	int err;

	if (!is_realm_world()) {
		pr_err("realm_measurement: this is no realm\n");
		return -ENODEV;
	}
	err = find_algorithm();
	if (err)
		return err;
	folder = kobject_create_and_add("realm", kernel_kobj);
	if (!folder)
		return -ENOMEM;
	err = sysfs_create_group(folder, &group);
	if (err)
		kobject_put(folder);
	return err;
}

static void __exit realm_measurement_exit(void)
{
	sysfs_remove_group(folder, &group);
	kobject_put(folder);
}

module_init(realm_measurement_init);
module_exit(realm_measurement_exit);
MODULE_DESCRIPTION("Measurements of the realm that it runs in");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attestation tokens by the bare calls, for comparison with what the kernel's own driver hands out: 64 bytes written to
 * /sys/kernel/raw_token/token are a challenge, what can be read there afterwards is the token.
 */
#include <linux/arm-smccc.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <asm/rsi.h>

#define CHALLENGE_BYTES 64
#define MOST_BYTES      (2 * PAGE_SIZE)

static DEFINE_MUTEX(lock);
static struct kobject *folder;
static u8 *page, *token;
static size_t token_bytes;

static unsigned long init(const u8 *challenge)
{
	struct arm_smccc_1_2_regs regs = { .a0 = SMC_RSI_ATTESTATION_TOKEN_INIT };

	memcpy(&regs.a1, challenge, CHALLENGE_BYTES);
	arm_smccc_1_2_smc(&regs, &regs);
	return regs.a0;
}

/* Both calls have to be the same CPU's. */
static int fetch(const u8 *challenge)
{
	struct arm_smccc_1_2_regs regs;
	unsigned long status;

	token_bytes = 0;
	get_cpu();
	status = init(challenge);
	while (status == RSI_SUCCESS || status == RSI_INCOMPLETE) {
		regs = (struct arm_smccc_1_2_regs){ .a0 = SMC_RSI_ATTESTATION_TOKEN_CONTINUE,
						    .a1 = virt_to_phys(page), .a3 = PAGE_SIZE };
		arm_smccc_1_2_smc(&regs, &regs);
		status = regs.a0;
		if ((status != RSI_SUCCESS && status != RSI_INCOMPLETE) || token_bytes + regs.a1 > MOST_BYTES)
			break;
		memcpy(token + token_bytes, page, regs.a1);
		token_bytes += regs.a1;
		if (status == RSI_SUCCESS)
			break;
	}
	put_cpu();
	return status == RSI_SUCCESS ? 0 : -EIO;
}

static ssize_t token_write(struct file *file, struct kobject *object, const struct bin_attribute *attribute, char *text,
			   loff_t offset, size_t bytes)
{
	int err;

	if (offset != 0 || bytes != CHALLENGE_BYTES)
		return -EINVAL;
	mutex_lock(&lock);
	err = fetch((const u8 *)text);
	mutex_unlock(&lock);
	return err ? err : (ssize_t)bytes;
}

static ssize_t token_read(struct file *file, struct kobject *object, const struct bin_attribute *attribute, char *text,
			  loff_t offset, size_t bytes)
{
	ssize_t count;

	mutex_lock(&lock);
	count = memory_read_from_buffer(text, bytes, &offset, token, token_bytes);
	mutex_unlock(&lock);
	return count;
}

static const struct bin_attribute token_attribute = __BIN_ATTR(token, 0600, token_read, token_write, 0);

static int __init raw_token_init(void)
{
	int err = -ENOMEM;

	if (!is_realm_world())
		return -ENODEV;
	page = (u8 *)get_zeroed_page(GFP_KERNEL);
	token = kzalloc(MOST_BYTES, GFP_KERNEL);
	folder = kobject_create_and_add("raw_token", kernel_kobj);
	if (page && token && folder)
		err = sysfs_create_bin_file(folder, &token_attribute);
	if (err) {
		kobject_put(folder);
		kfree(token);
		free_page((unsigned long)page);
	}
	return err;
}

static void __exit raw_token_exit(void)
{
	sysfs_remove_bin_file(folder, &token_attribute);
	kobject_put(folder);
	kfree(token);
	free_page((unsigned long)page);
}

module_init(raw_token_init);
module_exit(raw_token_exit);
MODULE_DESCRIPTION("A realm's attestation tokens by the bare calls");
MODULE_LICENSE("GPL");

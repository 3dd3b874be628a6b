// SPDX-License-Identifier: GPL-2.0-only
/*
 * rmi-pairs: what a page of a realm costs in bare RMI commands, without a driver around them.
 *
 * Writing a number of pages to rmi-pairs/run makes a realm of the module's own, backs that many pages of it and takes all
 * apart again; it then reads as `give NS` and `take NS`, ns a page: DELEGATE + DATA_CREATE_UNKNOWN, and DATA_DESTROY +
 * UNDELEGATE. Neither allocations nor tables are in it.
 */
#include <linux/arm-smccc.h>
#include <linux/debugfs.h>
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "rmi.h"

#define IPA_BITS    32
#define RTT_LEVEL   2           /* of the root: 4 tables of 1 GiB each */
#define RTT_COUNT   4
#define BLOCK       SZ_2M       /* what one table of pages describes */
#define PER_BLOCK   (BLOCK / PAGE_SIZE)
#define VMID        0xfe        /* the driver counts up from 1 */
#define GFP         (GFP_KERNEL | __GFP_DMA32)

static struct page *pages[PER_BLOCK];
static u64 give_ns, take_ns;
static bool lost;
static char result[64];
static DEFINE_MUTEX(lock);
static struct dentry *folder;

/* rmi.h's calls are counted for nobody here. */
void rmi_count(void)
{
}

/* A page that the RMM keeps must never be touched again. */
static void take_back(phys_addr_t address, bool free)
{
	if (rmi(NULL, RMI_GRANULE_UNDELEGATE, address) != RMI_SUCCESS)
		lost = true;
	else if (free)
		__free_page(phys_to_page(address));
}

/* Back the pages of one table; how many were. */
static unsigned int give(phys_addr_t rd, u64 ipa)
{
	ktime_t start = ktime_get();
	unsigned int i;

	for (i = 0; i < PER_BLOCK; i++) {
		phys_addr_t page = page_to_phys(pages[i]);

		if (rmi(NULL, RMI_GRANULE_DELEGATE, page) != RMI_SUCCESS)
			break;
		if (rmi(NULL, RMI_DATA_CREATE_UNKNOWN, rd, page, ipa + i * PAGE_SIZE) != RMI_SUCCESS) {
			take_back(page, false);
			break;
		}
	}
	give_ns += ktime_to_ns(ktime_sub(ktime_get(), start));
	return i;
}

static void take(phys_addr_t rd, u64 ipa, unsigned int count)
{
	ktime_t start = ktime_get();
	unsigned int i;

	for (i = 0; i < count; i++)
		if (rmi(NULL, RMI_DATA_DESTROY, rd, ipa + i * PAGE_SIZE) == RMI_SUCCESS)
			take_back(page_to_phys(pages[i]), false);
		else
			lost = true;
	take_ns += ktime_to_ns(ktime_sub(ktime_get(), start));
}

/* A table, its pages, and nothing of it any more. The same pages serve for every table. */
static bool one_block(phys_addr_t rd, struct page *table, u64 ipa)
{
	phys_addr_t address = page_to_phys(table);
	unsigned int count;

	if (rmi(NULL, RMI_GRANULE_DELEGATE, address) != RMI_SUCCESS)
		return false;
	if (rmi(NULL, RMI_RTT_CREATE, rd, address, ipa, RTT_PAGE_LEVEL) != RMI_SUCCESS) {
		take_back(address, false);
		return false;
	}
	count = give(rd, ipa);
	take(rd, ipa, count);
	if (rmi(NULL, RMI_RTT_DESTROY, rd, ipa, RTT_PAGE_LEVEL) == RMI_SUCCESS)
		take_back(address, false);
	else
		lost = true;
	cond_resched();
	return count == PER_BLOCK && !lost;
}

static bool make_realm(phys_addr_t rd, phys_addr_t root, struct rmi_realm_params *params)
{
	struct arm_smccc_1_2_regs regs = { .a0 = RMI_FEATURES };
	unsigned int i;

	arm_smccc_1_2_smc(&regs, &regs);
	*params = (struct rmi_realm_params){
		.s2sz = IPA_BITS, .num_bps = RMI_FEATURE_NUM_BPS(regs.a1), .num_wps = RMI_FEATURE_NUM_WPS(regs.a1),
		.vmid = VMID, .rtt_base = root, .rtt_level_start = RTT_LEVEL, .rtt_num_start = RTT_COUNT,
	};
	for (i = 0; i < RTT_COUNT; i++)
		if (rmi(NULL, RMI_GRANULE_DELEGATE, root + i * PAGE_SIZE) != RMI_SUCCESS)
			return false;
	return rmi(NULL, RMI_GRANULE_DELEGATE, rd) == RMI_SUCCESS &&
	       rmi(NULL, RMI_REALM_CREATE, rd, virt_to_phys(params)) == RMI_SUCCESS;
}

/* What fails half-way here stays as it is: this is no driver, and the machine is thrown away after a benchmark. */
static int measure(unsigned int blocks)
{
	struct page *rd = alloc_page(GFP), *params = alloc_page(GFP), *table = alloc_page(GFP);
	void *root = alloc_pages_exact(RTT_COUNT * PAGE_SIZE, GFP);
	unsigned int i;

	lost = true;
	give_ns = take_ns = 0;
	for (i = 0; i < PER_BLOCK; i++)
		if (!(pages[i] = alloc_page(GFP)))
			return -ENOMEM;
	if (!rd || !params || !root || !table)
		return -ENOMEM;
	if (!make_realm(page_to_phys(rd), virt_to_phys(root), page_address(params)))
		return -EPROTO;
	lost = false;
	for (i = 0; i < blocks; i++)
		if (!one_block(page_to_phys(rd), table, (u64)i * BLOCK))
			return -EPROTO;
	if (rmi(NULL, RMI_REALM_DESTROY, page_to_phys(rd)) != RMI_SUCCESS)
		return -EPROTO;
	take_back(page_to_phys(rd), true);
	for (i = 0; i < RTT_COUNT; i++)
		take_back(virt_to_phys(root) + i * PAGE_SIZE, true);
	__free_page(params);
	__free_page(table);
	for (i = 0; i < PER_BLOCK; i++)
		__free_page(pages[i]);
	return lost ? -EPROTO : 0;
}

static ssize_t run_write(struct file *file, const char __user *text, size_t size, loff_t *offset)
{
	unsigned int count, blocks;
	int error = kstrtouint_from_user(text, size, 0, &count);

	if (error)
		return error;
	blocks = count / PER_BLOCK;
	if (!blocks || blocks > SZ_1G / BLOCK)
		return -EINVAL;
	mutex_lock(&lock);
	error = lost ? -EIO : measure(blocks);
	if (!error)
		scnprintf(result, sizeof(result), "give %llu\ntake %llu\n", give_ns / (blocks * PER_BLOCK),
			  take_ns / (blocks * PER_BLOCK));
	mutex_unlock(&lock);
	return error ?: (ssize_t)size;
}

static ssize_t run_read(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	return simple_read_from_buffer(to, size, offset, result, strlen(result));
}

static const struct file_operations run_operations = {
	.owner = THIS_MODULE,
	.read = run_read,
	.write = run_write,
};

static int __init rmi_pairs_init(void)
{
	if (arm_smccc_1_1_get_conduit() != SMCCC_CONDUIT_SMC) {
		pr_err("rmi-pairs: this machine has no firmware to call by SMC\n");
		return -ENODEV;
	}
	folder = debugfs_create_dir("rmi-pairs", NULL);
	debugfs_create_file("run", 0600, folder, NULL, &run_operations);
	return 0;
}

static void __exit rmi_pairs_exit(void)
{
	debugfs_remove(folder);
}

module_init(rmi_pairs_init);
module_exit(rmi_pairs_exit);
MODULE_DESCRIPTION("Times what a page of a realm costs in RMI commands");
MODULE_LICENSE("GPL");

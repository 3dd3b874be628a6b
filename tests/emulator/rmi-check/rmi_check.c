// SPDX-License-Identifier: GPL-2.0-only
/*
 * rmi-check: call the RMM from the normal world and report what it answers.
 *
 * Loading the module runs the checks once. The report is TAP, in debugfs (rmi-check/tap)
 * and in the kernel log: results that the RMI fixes are checked, those that depend on the
 * RMM at hand (version, error codes, whether a page is wiped) are only told, as `# name value`.
 * Every call stands between a begin and an end marker of its own event number.
 *
 * A benchmark is run by writing a number of rounds to rmi-check/bench, which then reads
 * as `name rounds total_ns` lines.
 *
 * A page that cannot be undelegated is leaked on purpose: touching it would kill the
 * host. rmi-check/leaked counts such pages.
 */
#include <linux/arm-smccc.h>
#include <linux/debugfs.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "orch_marker.h"

/* Function identifiers: RMM specification 1.0, B4.3; PSCI 1.1, 5.1. */
#define PSCI_VERSION           0x84000000UL
#define RMI_VERSION            0xc4000150UL
#define RMI_GRANULE_DELEGATE   0xc4000151UL
#define RMI_GRANULE_UNDELEGATE 0xc4000152UL
#define RMI_UNUSED             0xc4000156UL /* a number in the RMI range that 1.0 gives no meaning */

#define RMI_SUCCESS     0UL
#define RMI_ERROR_INPUT 1UL
#define NOT_SUPPORTED   (~0UL)              /* SMCCC: no such function */
#define RMI_ABI_1_0     0x10000UL

/* Addresses that are never delegable on this machine (TF-A's memory map for QEMU's virt board). */
#define RMM_MEMORY  0x40100000UL            /* Realm: the RMM itself */
#define ROOT_SRAM   0x0e001000UL            /* Root: the monitor's */
#define BEYOND_GPT  0x100000000UL           /* 4 GiB and up are not described to the granule protection check */

/* One event number for each thing that a test may want to count apart. */
enum event {
	EVENT_VERSION = ORCH_EVENT_USER,
	EVENT_DELEGATE,
	EVENT_UNDELEGATE,
	EVENT_REFUSED,
	EVENT_BENCH_VERSION = ORCH_EVENT_USER + 0x10,
	EVENT_BENCH_PAIR,
};

static unsigned long first_id = 1;
module_param(first_id, ulong, 0444);
MODULE_PARM_DESC(first_id, "marker id of the first call; give another one when loading again in the same run");

static unsigned long next_id;
static u32 leaked;
static char tap[4096];
static size_t tap_length;
static unsigned int tests, failures;
static char bench_result[256];
static DEFINE_MUTEX(bench_lock);
static struct dentry *directory;

__printf(1, 2) static void say(const char *format, ...)
{
	size_t start = tap_length;
	va_list args;

	va_start(args, format);
	tap_length += vscnprintf(tap + tap_length, sizeof(tap) - tap_length, format, args);
	va_end(args);
	pr_info("rmi-check: %s", tap + start);
}

static void check(bool good, const char *what)
{
	tests++;
	failures += !good;
	say("%s %u - %s\n", good ? "ok" : "not ok", tests, what);
}

static struct arm_smccc_1_2_regs call(unsigned long function, unsigned long argument)
{
	struct arm_smccc_1_2_regs regs = { .a0 = function, .a1 = argument };

	arm_smccc_1_2_smc(&regs, &regs);
	return regs;
}

/* One call between markers. Interrupts are off: what is counted is the call and nothing else. The event must
 * be a constant where the macro is expanded, hence a macro. */
#define MARKED_CALL(event, function, argument)                                       \
	({                                                                           \
		struct arm_smccc_1_2_regs marked_regs;                               \
		unsigned long marked_flags, marked_id = next_id++;                   \
									             \
		local_irq_save(marked_flags);                                        \
		ORCH_MARK_BEGIN(event, marked_id);                                   \
		marked_regs = call(function, argument);                              \
		ORCH_MARK_END(event, marked_id);                                     \
		local_irq_restore(marked_flags);                                     \
		say("# marker event %#x id %lu\n", (unsigned int)(event), marked_id); \
		marked_regs;                                                         \
	})

static void check_version(void)
{
	struct arm_smccc_1_2_regs regs = MARKED_CALL(EVENT_VERSION, RMI_VERSION, RMI_ABI_1_0);

	say("# rmi_version_asked_1_0 %lu\n", regs.a0);
	say("# rmi_version_lower %#lx\n", regs.a1);
	say("# rmi_version_higher %#lx\n", regs.a2);
	check(regs.a0 == RMI_SUCCESS || regs.a0 == RMI_ERROR_INPUT, "RMI_VERSION answers");
	check(regs.a1 <= regs.a2, "the lower version is not above the higher");

	regs = MARKED_CALL(EVENT_VERSION, RMI_VERSION, regs.a2);
	check(regs.a0 == RMI_SUCCESS, "RMI_VERSION accepts the version it offered");
}

/* The RMM must refuse with an error that is not SUCCESS; which one is told. */
static void check_refused(unsigned long function, unsigned long address, const char *what)
{
	struct arm_smccc_1_2_regs regs = MARKED_CALL(EVENT_REFUSED, function, address);

	say("# refused_with %ld\n", (long)regs.a0);
	check(regs.a0 != RMI_SUCCESS, what);
}

static void check_refusals(unsigned long undelegated)
{
	struct arm_smccc_1_2_regs regs = MARKED_CALL(EVENT_REFUSED, RMI_UNUSED, 0);

	check(regs.a0 == NOT_SUPPORTED, "a function number without meaning is not supported");
	check_refused(RMI_GRANULE_DELEGATE, undelegated + 8, "DELEGATE of an unaligned address is refused");
	check_refused(RMI_GRANULE_DELEGATE, RMM_MEMORY, "DELEGATE of the RMM's own memory is refused");
	check_refused(RMI_GRANULE_DELEGATE, ROOT_SRAM, "DELEGATE of the monitor's memory is refused");
	check_refused(RMI_GRANULE_DELEGATE, BEYOND_GPT, "DELEGATE beyond the protected range is refused");
	check_refused(RMI_GRANULE_UNDELEGATE, undelegated, "UNDELEGATE of a page that was not delegated is refused");
}

/* Give the page back if the RMM let go of it; else it must never be touched again. */
static void release(struct page *page, bool undelegated)
{
	if (undelegated)
		__free_page(page);
	else
		leaked++;
}

static void check_granule(struct page *page)
{
	u64 *words = page_address(page);
	unsigned long address = page_to_phys(page);
	struct arm_smccc_1_2_regs regs;
	bool undelegated;

	memset(words, 0x5a, PAGE_SIZE);
	check_refusals(address);

	say("# granule %#lx\n", address);
	regs = MARKED_CALL(EVENT_DELEGATE, RMI_GRANULE_DELEGATE, address);
	check(regs.a0 == RMI_SUCCESS, "DELEGATE of a fresh page succeeds");
	if (regs.a0 != RMI_SUCCESS) {
		release(page, true);
		return;
	}
	check_refused(RMI_GRANULE_DELEGATE, address, "DELEGATE of a delegated page is refused");

	regs = MARKED_CALL(EVENT_UNDELEGATE, RMI_GRANULE_UNDELEGATE, address);
	undelegated = regs.a0 == RMI_SUCCESS;
	check(undelegated, "UNDELEGATE of a delegated page succeeds");
	if (undelegated) {
		say("# contents_kept %d\n", words[0] == 0x5a5a5a5a5a5a5a5aULL);
		WRITE_ONCE(words[0], 1);
		check(READ_ONCE(words[0]) == 1, "the page is ordinary memory again");
	}
	release(page, undelegated);
}

static void run_checks(void)
{
	struct page *page = alloc_page(GFP_KERNEL);

	say("TAP version 13\n");
	say("# psci_version %#lx\n", call(PSCI_VERSION, 0).a0);
	check(call(PSCI_VERSION, 0).a0 >= 0x10001, "PSCI is 1.1 or newer");
	check_version();
	if (page)
		check_granule(page);
	else
		check(false, "no memory for a page to delegate");
	say("1..%u\n", tests);
}

/* Time `rounds` calls of RMI_VERSION, ns. */
static s64 bench_version(unsigned long rounds)
{
	unsigned long id = next_id++, round;
	ktime_t start = ktime_get();

	ORCH_MARK_BEGIN(EVENT_BENCH_VERSION, id);
	for (round = 0; round < rounds; round++)
		call(RMI_VERSION, RMI_ABI_1_0);
	ORCH_MARK_END(EVENT_BENCH_VERSION, id);
	return ktime_to_ns(ktime_sub(ktime_get(), start));
}

/* Time `rounds` delegations of one page, each undone; -1 if the RMM failed a call, -2 without memory. */
static s64 bench_pairs(unsigned long rounds)
{
	struct page *page = alloc_page(GFP_KERNEL);
	unsigned long id = next_id++, round, address;
	bool undelegated = true, good = true;
	ktime_t start;
	s64 spent;

	if (!page)
		return -2;
	address = page_to_phys(page);
	start = ktime_get();
	ORCH_MARK_BEGIN(EVENT_BENCH_PAIR, id);
	for (round = 0; round < rounds && good; round++) {
		good = call(RMI_GRANULE_DELEGATE, address).a0 == RMI_SUCCESS;
		if (good)
			good = undelegated = call(RMI_GRANULE_UNDELEGATE, address).a0 == RMI_SUCCESS;
		if (!(round % 256))
			cond_resched();
	}
	ORCH_MARK_END(EVENT_BENCH_PAIR, id);
	spent = ktime_to_ns(ktime_sub(ktime_get(), start));
	release(page, undelegated);
	return good ? spent : -1;
}

static ssize_t bench_write(struct file *file, const char __user *text, size_t size, loff_t *offset)
{
	unsigned long rounds;
	int error = kstrtoul_from_user(text, size, 0, &rounds);
	s64 version, pairs;

	if (error)
		return error;
	if (!rounds || rounds > 1000000)
		return -EINVAL;
	mutex_lock(&bench_lock);
	version = bench_version(rounds);
	pairs = bench_pairs(rounds);
	scnprintf(bench_result, sizeof(bench_result), "version %lu %lld\ndelegate_undelegate %lu %lld\n",
		  rounds, version, rounds, pairs);
	mutex_unlock(&bench_lock);
	return (ssize_t)size;
}

static ssize_t bench_read(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	ssize_t got;

	mutex_lock(&bench_lock);
	got = simple_read_from_buffer(to, size, offset, bench_result, strlen(bench_result));
	mutex_unlock(&bench_lock);
	return got;
}

static const struct file_operations bench_operations = {
	.owner = THIS_MODULE,
	.read = bench_read,
	.write = bench_write,
};

static struct debugfs_blob_wrapper tap_blob = { .data = tap };

static int __init rmi_check_init(void)
{
	/* Without an SMC conduit the instruction itself would be undefined. */
	if (arm_smccc_1_1_get_conduit() != SMCCC_CONDUIT_SMC) {
		pr_err("rmi-check: this machine has no firmware to call by SMC\n");
		return -ENODEV;
	}
	next_id = first_id;
	run_checks();
	pr_info("rmi-check: %u of %u failed\n", failures, tests);

	tap_blob.size = tap_length;
	directory = debugfs_create_dir("rmi-check", NULL);
	debugfs_create_blob("tap", 0444, directory, &tap_blob);
	debugfs_create_file("bench", 0644, directory, NULL, &bench_operations);
	debugfs_create_u32("leaked", 0444, directory, &leaked);
	return 0;
}

static void __exit rmi_check_exit(void)
{
	debugfs_remove(directory);
	if (leaked)
		pr_warn("rmi-check: %u pages stay delegated and are lost\n", leaked);
}

module_init(rmi_check_init);
module_exit(rmi_check_exit);
MODULE_DESCRIPTION("Calls the RMM from the normal world and reports what it answers");
MODULE_LICENSE("GPL");

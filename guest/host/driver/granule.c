// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that are given to the Realm world and come back.
 *
 * A delegated page stays in the host's linear map, but a touch is a granule protection fault: it is therefore
 * allocated from the kernel (neither movable nor on a list of anyone), and freed only once the RMM has given it
 * back. One that does not come back is leaked and counted.
 */
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>

#include "granule.h"
#include "rmi.h"

/*
 * EL3 tracks granules below 4 GiB only (the L0 table's blocks above are for all worlds). An allocation may fail rather than
 * wake the OOM killer: that looks at what processes have mapped, so it would take everyone else before the VMM whose realm
 * has the memory.
 */
#define GRANULE_GFP (GFP_KERNEL_ACCOUNT | __GFP_DMA32 | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

/* What realms leave to the host, however much they ask for. */
#define HOST_RESERVE_PAGES (SZ_32M / PAGE_SIZE)

/* Firmware may keep some ordinary memory out of the RMM's reach (the first MiB on QEMU). Such pages are set aside. */
#define MAX_SET_ASIDE 1024

static atomic_t delegated = ATOMIC_INIT(0);
static atomic_t leaked = ATOMIC_INIT(0);
static LIST_HEAD(set_aside);
static unsigned int num_set_aside;
static DEFINE_MUTEX(set_aside_lock);

/* page_private() of a delegated page: an address that nobody else can have put there. */
#define MARK ((unsigned long)&delegated)

static bool delegate(struct page *page)
{
	if (rmi(NULL, RMI_GRANULE_DELEGATE, page_to_phys(page)) != RMI_SUCCESS)
		return false;
	set_page_private(page, MARK);
	atomic_inc(&delegated);
	return true;
}

/* Keep a page out of circulation so that the next allocation is another one. */
static bool keep_aside(struct page *page)
{
	bool room;

	mutex_lock(&set_aside_lock);
	room = num_set_aside < MAX_SET_ASIDE;
	if (room) {
		list_add(&page->lru, &set_aside);
		num_set_aside++;
	}
	mutex_unlock(&set_aside_lock);
	if (!room)
		__free_page(page);
	return room;
}

/*
 * Is there memory beyond what the host needs to go on? The OOM killer would free none of a realm's: it takes what processes
 * have mapped, and while one that was killed still takes its realm apart it goes on to the next, such as the SSH server.
 */
static bool host_has_room(void)
{
	static atomic_t unasked = ATOMIC_INIT(0);

	/* Asked for every 64th granule: the answer takes the walk of all zones. */
	if (atomic_dec_if_positive(&unasked) >= 0)
		return true;
	if (si_mem_available() <= HOST_RESERVE_PAGES)
		return false;
	atomic_set(&unasked, 63);
	return true;
}

phys_addr_t granule_alloc(void)
{
	struct page *page;

	if (!host_has_room())
		return 0;
	do {
		page = alloc_page(GRANULE_GFP);
		if (!page)
			return 0;
		if (delegate(page))
			return page_to_phys(page);
	} while (keep_aside(page));
	return 0;
}

phys_addr_t granule_alloc_contiguous(unsigned int count)
{
	phys_addr_t first;
	unsigned int i, done;
	bool kept = true;
	void *pages;

	do {
		if (!host_has_room())
			return 0;
		pages = alloc_pages_exact(count * PAGE_SIZE, GRANULE_GFP);
		if (!pages)
			return 0;
		first = virt_to_phys(pages);
		for (done = 0; done < count && delegate(phys_to_page(first + done * PAGE_SIZE)); done++)
			;
		if (done == count)
			return first;
		for (i = 0; i < done; i++)
			granule_free(first + i * PAGE_SIZE);
		for (i = done; i < count; i++)
			kept = keep_aside(phys_to_page(first + i * PAGE_SIZE)) && kept;
	} while (kept);
	return 0;
}

void granule_free(phys_addr_t granule)
{
	u64 status;

	/* The RMM names the page of a mapping that it has undone: one that we never gave it is not ours to free. */
	if (!pfn_valid(PHYS_PFN(granule)) || page_private(phys_to_page(granule)) != MARK) {
		atomic_inc(&leaked);
		pr_warn("realm: the RMM returns %pa, which is no page of ours\n", &granule);
		return;
	}
	status = rmi(NULL, RMI_GRANULE_UNDELEGATE, granule);

	if (status != RMI_SUCCESS) {
		atomic_inc(&leaked);
		pr_warn("realm: granule %pa cannot be undelegated (status %llx): leaked\n", &granule, status);
		return;
	}
	atomic_dec(&delegated);
	set_page_private(phys_to_page(granule), 0);
	__free_page(phys_to_page(granule));
}

void granules_lost(unsigned long count)
{
	if (!count)
		return;
	atomic_add(count, &leaked);
	pr_warn("realm: %lu granules stay in a realm that has gone: leaked\n", count);
}

unsigned int granules_delegated(void)
{
	return atomic_read(&delegated);
}

/*
 * `pages`: the physical address of every delegated page, a line each. Tests and attacks ask what the host gets from
 * them; looking for the mark costs nothing until then.
 */
static void *pages_seek(loff_t *pfn)
{
	struct page *page;

	for (; *pfn < PHYS_PFN(SZ_4G); ++*pfn) {
		page = pfn_to_online_page(*pfn);
		if (page && page_private(page) == MARK)
			return page;
	}
	return NULL;
}

static void *pages_start(struct seq_file *file, loff_t *pfn)
{
	return pages_seek(pfn);
}

static void *pages_next(struct seq_file *file, void *page, loff_t *pfn)
{
	++*pfn;
	return pages_seek(pfn);
}

static void pages_stop(struct seq_file *file, void *page)
{
}

static int pages_show(struct seq_file *file, void *page)
{
	seq_printf(file, "%#llx\n", page_to_phys((struct page *)page));
	return 0;
}

static const struct seq_operations pages_sops = {
	.start = pages_start, .next = pages_next, .stop = pages_stop, .show = pages_show,
};
DEFINE_SEQ_ATTRIBUTE(pages);

void granule_debugfs(struct dentry *folder)
{
	debugfs_create_atomic_t("granules", 0444, folder, &delegated);
	debugfs_create_atomic_t("leaked", 0444, folder, &leaked);
	debugfs_create_file("pages", 0400, folder, NULL, &pages_fops);
}

void granule_exit(void)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &set_aside, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

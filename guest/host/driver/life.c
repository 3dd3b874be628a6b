// SPDX-License-Identifier: GPL-2.0-only
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "granule.h"
#include "life.h"
#include "pages.h"
#include "rec.h"
#include "rmi.h"
#include "shared.h"
#include "tables.h"

/* VMIDs of realms are a space of their own, apart from KVM's. 8 bits: every CPU has as many. */
static DEFINE_IDA(vmids);
#define VMID_MAX 255

/* All open files. */
static LIST_HEAD(realms);
static DEFINE_MUTEX(realms_lock);

/* ---- Creation ---------------------------------------------------------------------------------------------- */

/* Shape of the root. An entry of level l covers 12 + 9 * (3 - l) bits. */
static void root_shape(struct realm *realm)
{
	unsigned int bits;

	realm->rtt_level = REALM_RTT_LEVEL(realm->ipa_bits);
	bits = 12 + 9 * (4 - realm->rtt_level);
	realm->rtt_count = realm->ipa_bits > bits ? 1 << (realm->ipa_bits - bits) : 1;
}

static int call_realm_create(struct realm *realm, const struct realm_create *create)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_DMA32);
	struct rmi_realm_params *params;
	u64 status;

	if (!page)
		return -ENOMEM;
	params = page_address(page);
	params->s2sz = create->ipa_bits;
	params->num_bps = create->num_bps ?: RMI_FEATURE_NUM_BPS(rmi_features());
	params->num_wps = create->num_wps ?: RMI_FEATURE_NUM_WPS(rmi_features());
	params->hash_algo = create->hash_algo;
	memcpy(params->rpv, create->rpv, sizeof(params->rpv));
	params->vmid = realm->vmid;
	params->rtt_base = realm->rtt_base;
	params->rtt_level_start = realm->rtt_level;
	params->rtt_num_start = realm->rtt_count;
	status = rmi(NULL, RMI_REALM_CREATE, realm->rd, page_to_phys(page));
	__free_page(page);
	return status == RMI_SUCCESS ? 0 : realm_refused(realm, RMI_REALM_CREATE, status);
}

/* Undo what precedes REALM_CREATE, or what follows REALM_DESTROY. */
static void free_root(struct realm *realm)
{
	unsigned int i;

	if (realm->rtt_base)
		for (i = 0; i < realm->rtt_count; i++)
			granule_free(realm->rtt_base + i * PAGE_SIZE);
	if (realm->rd)
		granule_free(realm->rd);
	if (realm->vmid > 0)
		ida_free(&vmids, realm->vmid);
	realm->rtt_base = 0;
	realm->rd = 0;
	realm->vmid = 0;
}

int life_create(struct realm *realm, const struct realm_create *create)
{
	int err;

	if (create->reserved || create->ipa_bits < 32 || create->ipa_bits > 48 ||
	    create->ipa_bits > RMI_FEATURE_S2SZ(rmi_features()))
		return -EINVAL;
	realm->ipa_bits = create->ipa_bits;
	root_shape(realm);
	realm->vmid = ida_alloc_range(&vmids, 1, VMID_MAX, GFP_KERNEL);
	if (realm->vmid < 0)
		return realm->vmid;
	realm->rd = granule_alloc();
	realm->rtt_base = granule_alloc_contiguous(realm->rtt_count);
	if (!realm->rd || !realm->rtt_base) {
		free_root(realm);
		return -ENOMEM;
	}
	err = call_realm_create(realm, create);
	if (err)
		free_root(realm);
	return err;
}

/* ---- The end ----------------------------------------------------------------------------------------------- */

/* Give everything back, under the lock; again, and it does nothing. */
static void take_apart(struct realm *realm)
{
	u64 status;

	if (!realm->rd)
		return;
	rec_destroy_all(realm);
	pages_destroy(realm, 0, protected_end(realm));
	shared_release(realm);
	tables_destroy(realm);
	granules_lost(realm->granules);
	realm->granules = 0;
	status = rmi(NULL, RMI_REALM_DESTROY, realm->rd);
	if (status != RMI_SUCCESS) {
		pr_warn("realm: REALM_DESTROY failed with status %llx\n", status);
		realm->vmid = 0; /* the RMM still holds it: not to be used again */
	}
	free_root(realm);
}

struct realm *life_begin(void)
{
	struct realm *realm = kzalloc(sizeof(*realm), GFP_KERNEL_ACCOUNT);

	if (!realm)
		return NULL;
	mutex_init(&realm->lock);
	xa_init(&realm->shared);
	mutex_lock(&realms_lock);
	list_add(&realm->list, &realms);
	mutex_unlock(&realms_lock);
	return realm;
}

void life_end(struct realm *realm)
{
	mutex_lock(&realm->lock);
	take_apart(realm);
	mutex_unlock(&realm->lock);
	mutex_lock(&realms_lock);
	list_del(&realm->list);
	mutex_unlock(&realms_lock);
	rec_free_all(realm);
	xa_destroy(&realm->shared);
	kfree(realm);
}

/*
 * The host restarts, switches off or starts another kernel, perhaps without having ended its processes. Whoever has the
 * memory next does not know which pages a touch of would be a fault: there must be none.
 */
static int realm_on_reboot(struct notifier_block *block, unsigned long action, void *data)
{
	struct realm *realm;
	unsigned int count = 0;

	realm_close_all();
	/* An interrupt ends every REC_ENTER; nobody enters from now on. */
	kick_all_cpus_sync();
	mutex_lock(&realms_lock);
	list_for_each_entry(realm, &realms, list) {
		mutex_lock(&realm->lock);
		count += realm->rd != 0;
		take_apart(realm);
		mutex_unlock(&realm->lock);
	}
	mutex_unlock(&realms_lock);
	if (count)
		pr_info("realm: the host goes down: %u realms ended, %u granules still delegated\n", count,
			granules_delegated());
	return NOTIFY_DONE;
}

static struct notifier_block reboot_block = { .notifier_call = realm_on_reboot };

void life_init(void)
{
	register_reboot_notifier(&reboot_block);
}

void life_exit(void)
{
	unregister_reboot_notifier(&reboot_block);
	ida_destroy(&vmids);
}

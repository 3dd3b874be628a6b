// SPDX-License-Identifier: GPL-2.0-only
/* /dev/realm: realms by file descriptor. The ABI is described in realm_ioctl.h. */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/log2.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>

#include "realm.h"

static u64 features0;
static u32 rmi_version;
static struct dentry *debug_folder;

/* VMIDs of realms are a space of their own, apart from KVM's. 8 bits: every CPU has as many. */
static DEFINE_IDA(vmids);
#define VMID_MAX 255

/* All open files; `closing` is set once, when the host goes down. */
static LIST_HEAD(realms);
static DEFINE_MUTEX(realms_lock);
static bool closing;

bool realm_closing(void)
{
	return READ_ONCE(closing);
}

int realm_refused(struct realm *realm, u64 command, u64 status)
{
	realm->last = (struct realm_last){ .command = command, .status = status };
	return -EPROTO;
}

/* ---- Creation and end --------------------------------------------------------------------------------------- */

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
	params->num_bps = create->num_bps ?: RMI_FEATURE_NUM_BPS(features0);
	params->num_wps = create->num_wps ?: RMI_FEATURE_NUM_WPS(features0);
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

static int create_realm(struct realm *realm, const struct realm_create *create)
{
	int err;

	if (create->reserved || create->ipa_bits < 32 || create->ipa_bits > 48 ||
	    create->ipa_bits > RMI_FEATURE_S2SZ(features0))
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

/* Give everything back, under the lock; again, and it does nothing. */
static void take_apart(struct realm *realm)
{
	u64 status;

	if (!realm->rd)
		return;
	rec_destroy_all(realm);
	memory_release(realm);
	status = rmi(NULL, RMI_REALM_DESTROY, realm->rd);
	if (status != RMI_SUCCESS) {
		pr_warn("realm: REALM_DESTROY failed with status %llx\n", status);
		realm->vmid = 0; /* the RMM still holds it: not to be used again */
	}
	free_root(realm);
}

static int realm_open(struct inode *inode, struct file *file)
{
	struct realm *realm = kzalloc(sizeof(*realm), GFP_KERNEL_ACCOUNT);

	if (!realm)
		return -ENOMEM;
	mutex_init(&realm->lock);
	xa_init(&realm->shared);
	file->private_data = realm;
	mutex_lock(&realms_lock);
	list_add(&realm->list, &realms);
	mutex_unlock(&realms_lock);
	return 0;
}

/* The last user is gone, killed or not: nobody can be inside REC_ENTER, which holds a reference to the file. */
static int realm_release(struct inode *inode, struct file *file)
{
	struct realm *realm = file->private_data;

	mutex_lock(&realm->lock);
	take_apart(realm);
	mutex_unlock(&realm->lock);
	mutex_lock(&realms_lock);
	list_del(&realm->list);
	mutex_unlock(&realms_lock);
	rec_free_all(realm);
	xa_destroy(&realm->shared);
	kfree(realm);
	return 0;
}

/*
 * The host restarts, switches off or starts another kernel, perhaps without having ended its processes. Whoever has the
 * memory next does not know which pages a touch of would be a fault: there must be none.
 */
static int realm_on_reboot(struct notifier_block *block, unsigned long action, void *data)
{
	struct realm *realm;
	unsigned int count = 0;

	WRITE_ONCE(closing, true);
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

/* ---- Calls --------------------------------------------------------------------------------------------------- */

/* All structures of the ABI that are arguments of commands which need the lock. */
union argument {
	struct realm_create create;
	struct realm_range range;
	struct realm_data data;
	struct realm_share share;
	struct realm_ripas ripas;
	struct realm_rec_create rec;
	struct realm_psci psci;
	struct realm_last last;
};

static int activate(struct realm *realm)
{
	u64 status = rmi(NULL, RMI_REALM_ACTIVATE, realm->rd);

	return status == RMI_SUCCESS ? 0 : realm_refused(realm, RMI_REALM_ACTIVATE, status);
}

static int dispatch(struct realm *realm, unsigned int command, union argument *argument)
{
	if (closing)
		return -ENODEV;
	if (command == REALM_LAST) {
		argument->last = realm->last;
		return 0;
	}
	if ((command == REALM_CREATE) == (realm->rd != 0))
		return -EBUSY;
	switch (command) {
	case REALM_CREATE:
		return create_realm(realm, &argument->create);
	case REALM_INIT_RIPAS:
		return memory_init_ripas(realm, &argument->range);
	case REALM_DATA:
		return memory_data(realm, &argument->data);
	case REALM_POPULATE:
		return memory_populate(realm, &argument->range);
	case REALM_SHARE:
		return memory_share(realm, &argument->share);
	case REALM_UNSHARE:
		return memory_unshare(realm, &argument->range);
	case REALM_SET_RIPAS:
		return memory_set_ripas(realm, &argument->ripas);
	case REALM_REC_CREATE:
		return rec_create(realm, &argument->rec);
	case REALM_ACTIVATE:
		return activate(realm);
	case REALM_PSCI:
		return rec_psci(realm, &argument->psci);
	default:
		return -ENOTTY;
	}
}

/* The number stands for direction and size as well: what is copied is what the command is about. */
static bool is_locked_call(unsigned int command)
{
	static const unsigned int commands[] = {
		REALM_CREATE, REALM_INIT_RIPAS, REALM_DATA, REALM_POPULATE, REALM_SHARE, REALM_UNSHARE, REALM_SET_RIPAS,
		REALM_REC_CREATE, REALM_ACTIVATE, REALM_PSCI, REALM_LAST,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i] == command)
			return true;
	return false;
}

static long locked_call(struct realm *realm, unsigned int command, void __user *user)
{
	union argument argument;
	int err;

	if (!is_locked_call(command))
		return -ENOTTY;
	memset(&argument, 0, sizeof(argument));
	if ((_IOC_DIR(command) & _IOC_WRITE) && copy_from_user(&argument, user, _IOC_SIZE(command)))
		return -EFAULT;
	if (mutex_lock_killable(&realm->lock))
		return -EINTR;
	err = dispatch(realm, command, &argument);
	mutex_unlock(&realm->lock);
	/* After an error as well: it shows how far things went. */
	if ((_IOC_DIR(command) & _IOC_READ) && copy_to_user(user, &argument, _IOC_SIZE(command)))
		return -EFAULT;
	return err;
}

static long realm_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct realm_info info = { .abi = REALM_ABI, .rmi_version = rmi_version, .features0 = features0 };

	switch (command) {
	case REALM_REC_ENTER:
		return rec_enter(file->private_data, argument);
	case REALM_INFO:
		return copy_to_user((void __user *)argument, &info, sizeof(info)) ? -EFAULT : 0;
	default:
		return locked_call(file->private_data, command, (void __user *)argument);
	}
}

static int realm_mmap(struct file *file, struct vm_area_struct *vma)
{
	return rec_map(file->private_data, vma);
}

static const struct file_operations realm_fops = {
	.owner = THIS_MODULE,
	.open = realm_open,
	.release = realm_release,
	.unlocked_ioctl = realm_ioctl,
	.mmap = realm_mmap,
	.llseek = noop_llseek,
};

static struct miscdevice realm_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "realm",
	.fops = &realm_fops,
	.mode = 0600,
};

/* ---- Module -------------------------------------------------------------------------------------------------- */

static int find_rmm(void)
{
	u64 out[4], status = rmi(out, RMI_VERSION, RMI_ABI_1_0);

	if (status != RMI_SUCCESS) {
		pr_err("realm: no RMM that speaks RMI 1.0 (RMI_VERSION: status %llx, versions %llx to %llx)\n", status,
		       out[0], out[1]);
		return -ENODEV;
	}
	rmi_version = out[1];
	status = rmi(out, RMI_FEATURES, 0);
	if (status != RMI_SUCCESS) {
		pr_err("realm: RMI_FEATURES failed with status %llx: this RMM makes no realms\n", status);
		return -ENODEV;
	}
	features0 = out[0];
	return 0;
}

static int __init realm_init(void)
{
	int err = find_rmm();

	err = err ?: rec_init();
	err = err ?: misc_register(&realm_device);
	if (err)
		return err;
	register_reboot_notifier(&reboot_block);
	debug_folder = debugfs_create_dir("realm", NULL);
	granule_debugfs(debug_folder);
	rec_debugfs(debug_folder);
	pr_info("realm: RMI %u.%u, features %llx\n", rmi_version >> 16, rmi_version & 0xffff, features0);
	return 0;
}

/* No file is open: the module is in use until then. */
static void __exit realm_exit(void)
{
	debugfs_remove(debug_folder);
	unregister_reboot_notifier(&reboot_block);
	misc_deregister(&realm_device);
	granule_exit();
	ida_destroy(&vmids);
}

module_init(realm_init);
module_exit(realm_exit);
MODULE_DESCRIPTION("Realms of Arm CCA by file descriptor");
MODULE_LICENSE("GPL");

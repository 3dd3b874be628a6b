// SPDX-License-Identifier: GPL-2.0-only
/* /dev/realm: realms by file descriptor. The ABI is described in realm_ioctl.h. */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "granule.h"
#include "life.h"
#include "pages.h"
#include "rec.h"
#include "rmi.h"
#include "shared.h"

static struct dentry *debug_folder;

static int realm_open(struct inode *inode, struct file *file)
{
	file->private_data = life_begin();
	return file->private_data ? 0 : -ENOMEM;
}

static int realm_release(struct inode *inode, struct file *file)
{
	life_end(file->private_data);
	return 0;
}

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
	if (realm_closing())
		return -ENODEV;
	if (command == REALM_LAST) {
		argument->last = realm->last;
		return 0;
	}
	if ((command == REALM_CREATE) == (realm->rd != 0))
		return -EBUSY;
	switch (command) {
	case REALM_CREATE:
		return life_create(realm, &argument->create);
	case REALM_INIT_RIPAS:
		return pages_init_ripas(realm, &argument->range);
	case REALM_DATA:
		return pages_data(realm, &argument->data);
	case REALM_POPULATE:
		return pages_populate(realm, &argument->range);
	case REALM_SHARE:
		return shared_add(realm, &argument->share);
	case REALM_UNSHARE:
		return shared_remove(realm, &argument->range);
	case REALM_SET_RIPAS:
		return pages_set_ripas(realm, &argument->ripas);
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
	struct realm_info info = { .abi = REALM_ABI, .rmi_version = rmi_version(), .features0 = rmi_features() };

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

static int __init realm_init(void)
{
	int err = rmi_find();

	err = err ?: rec_init();
	err = err ?: misc_register(&realm_device);
	if (err)
		return err;
	life_init();
	debug_folder = debugfs_create_dir("realm", NULL);
	rmi_debugfs(debug_folder);
	granule_debugfs(debug_folder);
	rec_debugfs(debug_folder);
	pr_info("realm: RMI %u.%u, features %llx\n", rmi_version() >> 16, rmi_version() & 0xffff,
		rmi_features());
	return 0;
}

/* No file is open: the module is in use until then. */
static void __exit realm_exit(void)
{
	debugfs_remove(debug_folder);
	misc_deregister(&realm_device);
	life_exit();
	granule_exit();
}

module_init(realm_init);
module_exit(realm_exit);
MODULE_DESCRIPTION("Realms of Arm CCA by file descriptor");
MODULE_LICENSE("GPL");

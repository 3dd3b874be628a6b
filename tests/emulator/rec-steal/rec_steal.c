// SPDX-License-Identifier: GPL-2.0-only
/*
 * rec-steal: destroy a REC behind the driver's back and take its granule back from the RMM. The driver then has a page that
 * the RMM refuses to give back: the one way to such a page that needs no RMM with a fault in it.
 *
 * Parameter `page`: a granule's address; -EPROTO if it is no REC.
 */
#include <linux/kernel.h>
#include <linux/module.h>

#include "rmi.h"

/* rmi.h's calls are counted for nobody here. */
void rmi_count(void)
{
}

static int steal(const char *text, const struct kernel_param *param)
{
	u64 page;
	int error = kstrtou64(text, 0, &page);

	if (error)
		return error;
	if (rmi(NULL, RMI_REC_DESTROY, page) != RMI_SUCCESS)
		return -EPROTO;
	return rmi(NULL, RMI_GRANULE_UNDELEGATE, page) == RMI_SUCCESS ? 0 : -EIO;
}

static const struct kernel_param_ops page_ops = { .set = steal };
module_param_cb(page, &page_ops, NULL, 0200);

MODULE_DESCRIPTION("Takes a REC's granule away from the realm driver");
MODULE_LICENSE("GPL");

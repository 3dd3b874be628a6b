/* SPDX-License-Identifier: GPL-2.0-only */
/* What orch_marker.h uses of <stdint.h>, in the kernel's terms. */
#ifndef RMI_CHECK_STDINT_H
#define RMI_CHECK_STDINT_H

#include <linux/types.h>

#define UINT32_C(value) value##U
#define UINT64_C(value) value##ULL

#endif

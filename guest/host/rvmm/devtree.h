/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's device tree: the same bytes in both worlds and on both sides of the emulator (it is measured). */
#ifndef RVMM_DEVTREE_H
#define RVMM_DEVTREE_H

#include "layout.h"

/* Write the tree to `out`, which has DTB_MAX_BYTES; its size, or -1: it does not fit. */
int devtree_write(const struct layout *layout, const char *cmdline, void *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest is started from: kernel, initrd and device tree in memory, and where they go. */
#ifndef RVMM_CONTENT_H
#define RVMM_CONTENT_H

#include "layout.h"
#include "options.h"
#include "population.h"

/* A file's bytes in anonymous memory, zero up to the next page. */
struct blob {
	void *bytes;
	uint64_t size;
};

struct content {
	struct layout layout;
	struct blob kernel, initrd, dtb;
	struct population population;
};

/* Read the files, place them, write the tree; -1 on an error. Free in both cases with content_free(). */
int content_load(struct content *content, const struct options *options);
void content_free(struct content *content);

#endif

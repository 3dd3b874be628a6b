/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in the page cache of a Linux whose memory can be read, found without any knowledge of what is in them but four
 * bytes of their beginning. Who boots a kernel knows where it keeps things: 4 KiB pages, 48-bit addresses and no KASLR
 * (arch/arm64/include/asm/memory.h), struct page of 64 bytes, struct xa_node (include/linux/xarray.h). Pure.
 */
#ifndef PAGE_CACHE_H
#define PAGE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_PAGE 4096u

/* Memory of the kernel: `pages` from physical address `base`, which the linear map and vmemmap begin with, on. */
struct memory {
	uint64_t base;
	size_t pages;
	/* The page with this number; NULL if it cannot be read. Valid until the second next call. */
	const uint8_t *(*page)(void *context, size_t number);
	void *context;
};

/* A cached file: root of the tree of its pages, and how many there are without a gap. */
struct cached_file {
	uint64_t root;
	size_t pages;
};

#define CACHED_FILES_MAX 32

/* Files that begin with a flatbuffer's root offset and `identifier`. Returns how many; CACHED_FILES_MAX at most. */
size_t cached_files(const struct memory *memory, const char identifier[4], struct cached_file *files);

/* Number of the memory's page that holds page `index` of the file; false if there is none. */
bool cached_page(const struct memory *memory, uint64_t root, size_t index, size_t *number);

#endif

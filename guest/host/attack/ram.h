/* SPDX-License-Identifier: Apache-2.0 */
/* All of the host's physical memory, mapped for reading, and which of its pages can be read. */
#ifndef RAM_H
#define RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE        4096u
#define RAM_SPANS   16

/* A page that nobody has touched yet; one that was read; one whose touch was the end of the toucher. */
enum page_class { PAGE_UNKNOWN, PAGE_READS, PAGE_FAULTS };

/* A range of System RAM. */
struct span {
	uint64_t base;          /* physical address */
	size_t pages;
	const uint8_t *bytes;
	volatile uint8_t *classes;
};

struct ram {
	struct span spans[RAM_SPANS];
	size_t count;
	size_t pages;           /* of all spans */
};

/* Map what /proc/iomem calls System RAM. A write is possible with `writable`. */
void ram_open(struct ram *ram, bool writable);

/* The span that holds the page at this physical address; NULL if it is no System RAM. */
struct span *ram_span(struct ram *ram, uint64_t address);

/* Addresses in ascending order. */
struct addresses {
	uint64_t *list;
	size_t count;
};

/* Read addresses, a line each, from a file; an absent file has none. */
struct addresses addresses_read(const char *path);
bool addresses_have(const struct addresses *addresses, uint64_t address);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Physical memory through /dev/mem. Always through a mapping: read(2) would have the kernel touch the page, and a granule
 * protection fault of the kernel is the end of the host.
 */
#include "ram.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "say.h"

static void open_span(struct ram *ram, int memory, uint64_t first, uint64_t last, bool writable)
{
	struct span *span = &ram->spans[ram->count];
	int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	void *bytes;

	if (ram->count == RAM_SPANS)
		fail_with("/proc/iomem: more than %d ranges of System RAM", RAM_SPANS);
	span->base = first;
	span->pages = (last + 1 - first) / PAGE;
	bytes = mmap(NULL, span->pages * PAGE, protection, MAP_SHARED, memory, (off_t)first);
	if (bytes == MAP_FAILED)
		fail("/dev/mem");
	span->bytes = bytes;
	span->classes = allocate(span->pages, 1);
	ram->pages += span->pages;
	ram->count++;
}

void ram_open(struct ram *ram, bool writable)
{
	int memory = open("/dev/mem", writable ? O_RDWR | O_CLOEXEC : O_RDONLY | O_CLOEXEC);
	FILE *map = fopen("/proc/iomem", "re");
	char line[256];
	uint64_t first, last;

	if (memory < 0)
		fail("/dev/mem");
	if (map == NULL)
		fail("/proc/iomem");
	memset(ram, 0, sizeof(*ram));
	while (fgets(line, sizeof(line), map) != NULL) {
		/* What is indented is part of the range above. */
		if (line[0] == ' ' || strstr(line, " : System RAM") == NULL)
			continue;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &first, &last) == 2 && last > first)
			open_span(ram, memory, first, last, writable);
	}
	fclose(map);
	close(memory);
	if (ram->count == 0)
		fail_with("/proc/iomem shows no System RAM");
}

struct span *ram_span(struct ram *ram, uint64_t address)
{
	size_t i;

	for (i = 0; i < ram->count; i++)
		if (address >= ram->spans[i].base && address - ram->spans[i].base < ram->spans[i].pages * PAGE)
			return &ram->spans[i];
	return NULL;
}

static int compare(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

struct addresses addresses_read(const char *path)
{
	struct addresses addresses = { .list = NULL };
	FILE *file = fopen(path, "re");
	size_t room = 0;
	char line[64];

	if (file == NULL && errno == ENOENT)
		return addresses;
	if (file == NULL)
		fail(path);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (addresses.count == room) {
			room = room != 0 ? 2 * room : 4096;
			addresses.list = realloc(addresses.list, room * sizeof(*addresses.list));
			if (addresses.list == NULL)
				fail("memory");
		}
		addresses.list[addresses.count++] = number(line);
	}
	fclose(file);
	if (addresses.count != 0)
		qsort(addresses.list, addresses.count, sizeof(*addresses.list), compare);
	return addresses;
}

bool addresses_have(const struct addresses *addresses, uint64_t address)
{
	return addresses->count != 0 &&
	       bsearch(&address, addresses->list, addresses->count, sizeof(address), compare) != NULL;
}

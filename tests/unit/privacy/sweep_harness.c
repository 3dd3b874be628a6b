// SPDX-License-Identifier: Apache-2.0
/*
 * sweep.c over a file that stands for physical memory: `sweep IMAGE NEEDLES PAGE...`, where a touch of these pages ends the
 * process as one of a delegated page does. `=PAGE` is spared, for the driver lists it all the time, and `~PAGE` is listed
 * before and not after. Prints "zero Z faulted F found N: PAGE..." with the pages that faulted.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "say.h"
#include "sweep.h"

/* As command_scan.c does it. */
static void sweep_spared(struct sweep *sweep, struct ram *ram, int count, char **words)
{
	struct addresses before = { .list = allocate((size_t)count, sizeof(uint64_t)) };
	struct addresses after = { .list = allocate((size_t)count, sizeof(uint64_t)) };
	int word;

	for (word = 0; word < count; word++) {
		if (words[word][0] == '=' || words[word][0] == '~')
			before.list[before.count++] = number(words[word] + 1) * PAGE;
		if (words[word][0] == '=')
			after.list[after.count++] = number(words[word] + 1) * PAGE;
	}
	ram_spare(ram, &before);
	sweep_ram(sweep, ram);
	if (ram_unspare(ram, &before, &after) != 0)
		sweep_ram(sweep, ram);
}

int main(int count, char **words)
{
	struct needles needles;
	struct found found;
	struct sweep sweep = { .needles = &needles, .found = &found };
	struct ram ram = { .count = 2 };
	struct stat status;
	size_t bytes, pages, page, i;
	uint8_t *file, *image;
	int memory = open(words[1], O_RDONLY), word;

	file = read_file(words[2], &bytes);
	if (memory < 0 || fstat(memory, &status) < 0 || !needles_index(&needles, file, bytes) ||
	    !found_init(&found, needles.count))
		return 2;
	pages = (size_t)status.st_size / PAGE;
	image = mmap(NULL, pages * PAGE, PROT_READ, MAP_PRIVATE, memory, 0);
	for (word = 3; word < count; word++)
		if (words[word][0] != '=' && words[word][0] != '~' &&
		    mprotect(image + number(words[word]) * PAGE, PAGE, PROT_NONE) < 0)
			return 2;
	/* Two ranges, as a machine has them. */
	ram.spans[0] = (struct span){ .base = 0, .pages = 3, .bytes = image, .classes = allocate(3, 1) };
	ram.spans[1] = (struct span){ .base = 3 * PAGE, .pages = pages - 3, .bytes = image + 3 * PAGE,
				      .classes = allocate(pages - 3, 1) };
	sweep_spared(&sweep, &ram, count - 3, words + 3);
	printf("zero %" PRIu64 " faulted %" PRIu64 " found %zu:", sweep.zero, sweep.faulted, found.count);
	for (i = 0; i < ram.count; i++)
		for (page = 0; page < ram.spans[i].pages; page++)
			if (ram.spans[i].classes[page] == PAGE_FAULTS)
				printf(" %zu", (size_t)ram.spans[i].base / PAGE + page);
	putchar('\n');
	return 0;
}

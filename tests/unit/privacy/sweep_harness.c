// SPDX-License-Identifier: Apache-2.0
/*
 * sweep.c over a file that stands for physical memory: `sweep IMAGE NEEDLES PAGE...`, where a touch of these pages ends the
 * process as one of a delegated page does. Prints "zero Z faulted F found N: PAGE..." with the pages that faulted.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "say.h"
#include "sweep.h"

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
		if (mprotect(image + number(words[word]) * PAGE, PAGE, PROT_NONE) < 0)
			return 2;
	/* Two ranges, as a machine has them. */
	ram.spans[0] = (struct span){ .base = 0, .pages = 3, .bytes = image, .classes = allocate(3, 1) };
	ram.spans[1] = (struct span){ .base = 3 * PAGE, .pages = pages - 3, .bytes = image + 3 * PAGE,
				      .classes = allocate(pages - 3, 1) };
	sweep_ram(&sweep, &ram);
	printf("zero %" PRIu64 " faulted %" PRIu64 " found %zu:", sweep.zero, sweep.faulted, found.count);
	for (i = 0; i < ram.count; i++)
		for (page = 0; page < ram.spans[i].pages; page++)
			if (ram.spans[i].classes[page] == PAGE_FAULTS)
				printf(" %zu", (size_t)ram.spans[i].base / PAGE + page);
	putchar('\n');
	return 0;
}

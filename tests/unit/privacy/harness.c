// SPDX-License-Identifier: Apache-2.0
/* page_cache.c over a file that stands for a kernel's memory: `harness IMAGE BASE` prints "ROOT PAGE PAGE ..." a file. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "page_cache.h"

static const uint8_t *image;

/* A page that begins so cannot be read. */
static const uint8_t *image_page(void *context, size_t number)
{
	const uint8_t *page = image + number * CACHE_PAGE;

	(void)context;
	return memcmp(page, "DELEGATED", 9) == 0 ? NULL : page;
}

int main(int count, char **words)
{
	struct cached_file files[CACHED_FILES_MAX];
	struct memory memory = { .page = image_page };
	struct stat status;
	size_t found, i, page, number;
	int file = open(words[1], O_RDONLY);

	if (count != 3 || file < 0 || fstat(file, &status) < 0)
		return 2;
	memory.base = strtoull(words[2], NULL, 0);
	memory.pages = (size_t)status.st_size / CACHE_PAGE;
	image = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	found = cached_files(&memory, "TFL3", files);
	for (i = 0; i < found; i++) {
		printf("%" PRIx64, files[i].root);
		for (page = 0; page < files[i].pages; page++)
			printf(" %zu", cached_page(&memory, files[i].root, page, &number) ? number : SIZE_MAX);
		putchar('\n');
	}
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/* Rebuild model files from page caches of VMs, whose memory their VMM's processes hold; name those of the host. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "page_cache.h"
#include "ram.h"
#include "say.h"

#define IDENTIFIER "TFL3" /* of a TFLite flatbuffer */
/* Where RAM of guests begins (guest/host/rvmm/layout.h). */
#define RAM_BASE   UINT64_C(0x40000000)
#define GIB        (UINT64_C(1) << 30)
/* The largest file that is rebuilt. */
#define FILE_PAGES (GIB / PAGE)

struct carving {
	const char *folder;
	const char *name;
	struct memory memory;
	struct cached_file files[CACHED_FILES_MAX];
	size_t count;
};

static void write_file(const struct carving *carving, size_t which)
{
	const struct cached_file *file = &carving->files[which];
	char path[256];
	size_t page, number;
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s-%zu.bin", carving->folder, carving->name, which);
	out = fopen(path, "wbe");
	if (out == NULL)
		fail(path);
	for (page = 0; page < file->pages && page < FILE_PAGES; page++) {
		const uint8_t *bytes = NULL;

		if (cached_page(&carving->memory, file->root, page, &number))
			bytes = carving->memory.page(carving->memory.context, number);
		if (bytes == NULL || fwrite(bytes, PAGE, 1, out) != 1)
			break;
	}
	if (fclose(out) != 0)
		fail(path);
	printf("{\"event\":\"carved\",\"from\":\"%s\",\"path\":\"%s\",\"pages\":%zu}\n", carving->name, path, page);
}

static void say_files(const struct carving *carving)
{
	size_t i;

	for (i = 0; i < carving->count; i++)
		write_file(carving, i);
	fflush(stdout);
}

/* ---- The host's own files --------------------------------------------------------------------------------------- */

static int visit(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	char begin[8];
	int file;

	(void)place;
	if (kind != FTW_F || !S_ISREG(status->st_mode))
		return 0;
	file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file < 0)
		return 0;
	if (pread(file, begin, sizeof(begin), 0) == (ssize_t)sizeof(begin) && memcmp(begin + 4, IDENTIFIER, 4) == 0 &&
	    strpbrk(path, "\"\\\n") == NULL)
		printf("{\"event\":\"carved\",\"from\":\"files\",\"path\":\"%s\",\"pages\":%lld}\n", path,
		       (long long)((status->st_size + PAGE - 1) / PAGE));
	close(file);
	return 0;
}

/* They need not be put together: they are told as they are. */
static void carve_files(void)
{
	static const char *const folders[] = { "/", "/tmp", "/run" };
	size_t i;

	for (i = 0; i < sizeof(folders) / sizeof(*folders); i++)
		nftw(folders[i], visit, 16, FTW_PHYS | FTW_MOUNT);
}

/* ---- A VM's ------------------------------------------------------------------------------------------------------ */

struct guest_memory {
	int file;
	uint64_t first; /* address in the VMM's process */
	uint8_t pages[2][PAGE];
	unsigned int turn;
};

static const uint8_t *guest_page(void *context, size_t number)
{
	struct guest_memory *guest = context;
	uint8_t *page = guest->pages[guest->turn ^= 1];

	if (pread(guest->file, page, PAGE, (off_t)(guest->first + number * PAGE)) != (ssize_t)PAGE)
		return NULL;
	return page;
}

/* A VM's memory is the largest range that its VMM can write to. */
static size_t find_guest(const char *pid, struct guest_memory *guest)
{
	uint64_t first, last, bytes = 0;
	char path[64], line[512], access[8];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "re");
	if (maps == NULL)
		fail(path);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &first, &last, access) != 3 || access[1] != 'w' ||
		    last - first <= bytes)
			continue;
		guest->first = first;
		bytes = last - first;
	}
	fclose(maps);
	return bytes / PAGE;
}

static void carve_guest(const char *folder, const char *pid)
{
	static struct guest_memory guest;
	struct carving carving = { .folder = folder, .name = pid };
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/mem", pid);
	guest.file = open(path, O_RDONLY | O_CLOEXEC);
	if (guest.file < 0)
		fail(path);
	carving.memory = (struct memory){
		.base = RAM_BASE, .page = guest_page, .context = &guest, .pages = find_guest(pid, &guest),
	};
	carving.count = cached_files(&carving.memory, IDENTIFIER, carving.files);
	say_files(&carving);
	close(guest.file);
}

int command_carve(int count, char **words)
{
	int word;

	if (count < 1)
		fail_with("carve FOLDER [PID...]");
	for (word = 1; word < count; word++)
		carve_guest(words[0], words[word]);
	if (count == 1)
		carve_files();
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/* Search all that root can read: physical memory, memory of processes, files and disks. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "say.h"
#include "sweep.h"
#include "window.h"

static struct {
	struct needles needles;
	struct found found;
	struct region region;
	struct window window;
} scan;

/* ---- Physical memory ------------------------------------------------------------------------------------------ */

/*
 * Is what faults what the driver has delegated? Realms run meanwhile: a page is held to it where the driver's lists before
 * and after agree, and a fault must be in one of them.
 */
static void say_faults(struct ram *ram, const struct addresses *before, const struct addresses *after)
{
	size_t i, stable = 0, missed = 0, faulted = 0, strange = 0;

	for (i = 0; i < before->count; i++) {
		uint64_t address = before->list[i];
		struct span *span = ram_span(ram, address);

		if (!addresses_have(after, address))
			continue;
		stable++;
		missed += span == NULL || span->classes[(address - span->base) / PAGE] != PAGE_FAULTS;
	}
	for (i = 0; i < ram->count; i++) {
		struct span *span = &ram->spans[i];
		size_t page;

		for (page = 0; page < span->pages; page++) {
			uint64_t address = span->base + page * PAGE;

			if (span->classes[page] != PAGE_FAULTS)
				continue;
			faulted++;
			strange += !addresses_have(before, address) && !addresses_have(after, address);
		}
	}
	printf("{\"event\":\"faults\",\"faulted\":%zu,\"delegated_before\":%zu,\"delegated_after\":%zu,\"stable\":%zu,"
	       "\"delegated_but_read\":%zu,\"faulted_but_normal\":%zu}\n",
	       faulted, before->count, after->count, stable, missed, strange);
}

static void scan_ram(void)
{
	struct sweep sweep = { .needles = &scan.needles, .found = &scan.found };
	struct region region = { .name = "ram" };
	struct addresses before = addresses_read(DELEGATED), after;
	double begin = now();
	struct ram ram;

	ram_open(&ram, false);
	sweep_ram(&sweep, &ram);
	after = addresses_read(DELEGATED);
	region.pages = ram.pages;
	region.zero = sweep.zero;
	region.faulted = sweep.faulted;
	region.seconds = now() - begin;
	say_region(&region, &scan.found, scan.needles.count);
	say_faults(&ram, &before, &after);
}

/* ---- Files and memory of processes ----------------------------------------------------------------------------- */

static void look_into(void *unused, const uint8_t *page, size_t bytes, size_t readable)
{
	(void)unused;
	scan.region.pages++;
	if (bytes == PAGE && all_zero(page, PAGE))
		scan.region.zero++;
	else
		needles_sweep(&scan.needles, page, bytes, readable, &scan.found);
}

/* Search a file from `position` (of a page) to `end`. A page that cannot be read is passed over. */
static void scan_range(int file, uint64_t position, uint64_t end)
{
	ssize_t got = 1;

	while (position < end && got != 0) {
		size_t wanted = end - position < WINDOW_CHUNK ? (size_t)(end - position) : WINDOW_CHUNK;

		got = pread(file, window_room(&scan.window), wanted, (off_t)position);
		if (got < 0) {
			scan.region.faulted++;
			position += PAGE;
		} else {
			position += (uint64_t)got;
		}
		/* Only whole pages may be followed by more. */
		window_visit(&scan.window, got < 0 ? 0 : (size_t)got, got <= 0 || got % PAGE != 0, look_into, NULL);
		if (got > 0 && got % PAGE != 0)
			position = (position + PAGE - 1) / PAGE * PAGE;
	}
	window_visit(&scan.window, 0, true, look_into, NULL);
}

/* Through the kernel, but only pages that a process has: none of a realm's is ever mapped into one. */
static void scan_process(const char *pid)
{
	char path[64], line[512], access[8];
	uint64_t first, last;
	FILE *maps;
	int memory;

	snprintf(path, sizeof(path), "/proc/%s/mem", pid);
	memory = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "re");
	if (memory < 0 || maps == NULL)
		fail(path);
	while (fgets(line, sizeof(line), maps) != NULL)
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &first, &last, access) == 3 && access[0] == 'r' &&
		    strstr(line, "[vvar") == NULL)
			scan_range(memory, first, last);
	fclose(maps);
	close(memory);
}

static int visit(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	off_t size;
	int file;

	(void)place;
	if (kind != FTW_F || (!S_ISREG(status->st_mode) && !S_ISBLK(status->st_mode)))
		return 0;
	file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file < 0)
		return 0;
	size = lseek(file, 0, SEEK_END);
	scan_range(file, 0, size > 0 ? (uint64_t)size : 0);
	close(file);
	return 0;
}

static void begin_region(const char *name)
{
	scan.region = (struct region){ .name = name, .seconds = now() };
	found_reset(&scan.found, scan.needles.count);
}

static void end_region(void)
{
	scan.region.seconds = now() - scan.region.seconds;
	say_region(&scan.region, &scan.found, scan.needles.count);
}

int command_scan(int count, char **words)
{
	/* Each a file system of its own; block devices are in /dev. */
	static const char *const folders[] = { "/", "/tmp", "/run", "/dev" };
	uint8_t *file;
	size_t bytes, i;
	int word;

	if (count < 1)
		fail_with("scan NEEDLES [PID...]");
	file = read_file(words[0], &bytes);
	if (!needles_index(&scan.needles, file, bytes) || !found_init(&scan.found, scan.needles.count))
		fail_with("%s: no file of needles", words[0]);
	/* First, before a buffer of ours holds what was found elsewhere. */
	scan_ram();
	begin_region("vmm");
	for (word = 1; word < count; word++)
		scan_process(words[word]);
	end_region();
	begin_region("files");
	for (i = 0; i < sizeof(folders) / sizeof(*folders); i++)
		nftw(folders[i], visit, 16, FTW_PHYS | FTW_MOUNT);
	end_region();
	return 0;
}

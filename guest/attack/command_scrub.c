// SPDX-License-Identifier: Apache-2.0
/*
 * Overwrite free memory, so that what an earlier guest left there is not taken for a leak of the next: this kernel does not
 * clear pages that are given back.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "commands.h"
#include "say.h"

#define STEP  (4u << 20)
/* What is left alone, so that nothing is killed for want of memory. */
#define SPARE (48u << 20)

static uint64_t free_bytes(void)
{
	struct sysinfo info;

	if (sysinfo(&info) < 0)
		fail("sysinfo");
	return (uint64_t)info.freeram * info.mem_unit;
}

int command_scrub(int count, char **words)
{
	uint64_t done = 0;
	int caches;

	(void)words;
	if (count != 0)
		fail_with("scrub takes nothing");
	sync();
	caches = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (caches < 0 || write(caches, "3", 1) != 1)
		fail("/proc/sys/vm/drop_caches");
	close(caches);
	while (free_bytes() > SPARE + STEP) {
		void *memory = mmap(NULL, STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			break;
		/* The kernel clears each page that it hands out. */
		if (madvise(memory, STEP, MADV_POPULATE_WRITE) < 0)
			break;
		done += STEP;
	}
	printf("{\"event\":\"scrub\",\"mib\":%llu,\"left_mib\":%llu}\n", (unsigned long long)(done >> 20),
	       (unsigned long long)(free_bytes() >> 20));
	return 0;
}

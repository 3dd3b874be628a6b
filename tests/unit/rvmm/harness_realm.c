/* SPDX-License-Identifier: Apache-2.0 */
/* What the realm back end decides by (sets of pages, PSCI), and the console's log, behind the line protocol. */
#include "harness_realm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "error.h"
#include "layout.h"
#include "page_set.h"
#include "power.h"

static struct page_set set;
static struct power power;

static void do_run(const uint64_t *words)
{
	uint64_t base, top;

	if (page_set_run(&set, words[0], words[1] != 0, words[2], &base, &top))
		printf("%" PRIx64 " %" PRIx64 "\n", base, top);
	else
		printf("0\n");
}

static void do_set(const char *name, const uint64_t *words)
{
	if (strcmp(name, "r_set") == 0) {
		page_set_free(&set);
		printf("%x\n", page_set_init(&set, words[0]) != 0);
	} else if (strcmp(name, "r_change") == 0) {
		page_set_change(&set, words[0], words[1], words[2] != 0);
		printf("0\n");
	} else if (strcmp(name, "r_has") == 0) {
		printf("%x\n", page_set_has(&set, words[0], words[1]));
	} else if (strcmp(name, "r_run") == 0) {
		do_run(words);
	} else if (strcmp(name, "r_shared") == 0) {
		printf("%" PRIx64 "\n", shared_ipa(words[0]));
	} else {
		exit(2);
	}
}

/* A guest that prints as many lines of 64 bytes as `rest` says ahead of the folder's name. */
static void do_log(const char *rest)
{
	char *dir;
	unsigned long lines = strtoul(rest, &dir, 16), i;
	struct console *console = console_open(dir + 1);
	uint8_t line[64];

	memset(line, 'x', sizeof(line));
	line[63] = '\n';
	if (console == NULL) {
		printf("! %s\n", failure());
		return;
	}
	for (i = 0; i < lines; i++)
		console_write(console, line, sizeof(line));
	console_flush(console);
	console_close(console);
	printf("0\n");
}

void do_realm(const char *name, const uint64_t *words, const char *rest)
{
	if (strcmp(name, "r_power") == 0)
		power = (struct power){ .off = words[0] != 0 }, printf("0\n");
	else if (strcmp(name, "r_start") == 0)
		power.start = true, printf("0\n");
	else if (strcmp(name, "r_off") == 0)
		power.off = true, printf("0\n");
	else if (strcmp(name, "r_check") == 0)
		printf("%x\n", power_check(&power));
	else if (strcmp(name, "r_ran") == 0)
		power_ran(&power), printf("0\n");
	else if (strcmp(name, "r_refused") == 0)
		printf("%x\n", power_refused(&power));
	else if (strcmp(name, "r_log") == 0)
		do_log(rest);
	else
		do_set(name, words);
}

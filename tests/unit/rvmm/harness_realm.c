/* SPDX-License-Identifier: Apache-2.0 */
/* What the realm back end decides by (sets of pages, PSCI), and the console's log, behind the line protocol. */
#include "harness_realm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

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

struct typed {
	struct console *console;
	unsigned int calls;
	int reader;
};

/* A guest that prints more than a socket holds: who does not read is dropped. */
static void echo(void *context, const uint8_t *bytes, size_t count)
{
	struct typed *typed = context;
	static uint8_t page[4096], heard[65536];
	unsigned int i;

	(void)bytes;
	(void)count;
	memset(page, 'x', sizeof(page));
	typed->calls++;
	for (i = 0; i < 1024; i++) {
		console_write(typed->console, page, sizeof(page));
		while (recv(typed->reader, heard, sizeof(heard), MSG_DONTWAIT) > 0)
			;
	}
}

static int connect_to(const char *dir)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/console.sock", dir);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&name, sizeof(name)) < 0)
		exit(2);
	return fd;
}

/* Two clients that type before the guest is looked after: how often it gets input in each of three passes. */
static void do_typists(const char *dir)
{
	struct typed typed = { .console = console_open(dir) };
	struct pollfd fds[CONSOLE_POLL];
	unsigned int count, pass;
	int clients[2], i;

	if (typed.console == NULL)
		exit(2);
	for (i = 0; i < 2; i++) {
		typed.reader = clients[i] = connect_to(dir);
		count = console_poll(typed.console, fds, 1);
		(void)poll(fds, count, -1);
		console_serve(typed.console, fds, count, 1, echo, &typed);
	}
	for (i = 0; i < 2; i++)
		if (write(clients[i], "a", 1) != 1)
			exit(2);
	for (pass = 0; pass < 3; pass++) {
		typed.calls = 0;
		count = console_poll(typed.console, fds, 1);
		(void)poll(fds, count, 0);
		console_serve(typed.console, fds, count, 1, echo, &typed);
		printf("%x ", typed.calls);
	}
	printf("\n");
	for (i = 0; i < 2; i++)
		(void)close(clients[i]);
	console_close(typed.console);
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
	else if (strcmp(name, "r_typists") == 0)
		do_typists(rest);
	else
		do_set(name, words);
}

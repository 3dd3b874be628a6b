/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "layout.h"

#define RUN_ID_MAX   ((UINT64_C(1) << 63) - 1) /* orch_marker.h */
#define CPU_MAX      1023U
#define CMDLINE_MAX  2047U                     /* COMMAND_LINE_SIZE of arm64 Linux, less its NUL */

enum { WORLD = 1, DIR, KERNEL, INITRD, CMDLINE, MEM, VCPUS, CPU, PRETOUCH, DETACH, RUN_ID, SEED,
       TAP, TAP_ADDRESS, MAC, DISK, DISK_WRITABLE, DRY_RUN, UNCONFINED };

static const struct option known[] = {
	{ "world", required_argument, NULL, WORLD },     { "dir", required_argument, NULL, DIR },
	{ "kernel", required_argument, NULL, KERNEL },   { "initrd", required_argument, NULL, INITRD },
	{ "cmdline", required_argument, NULL, CMDLINE }, { "mem", required_argument, NULL, MEM },
	{ "vcpus", required_argument, NULL, VCPUS },     { "cpu", required_argument, NULL, CPU },
	{ "pretouch", no_argument, NULL, PRETOUCH },     { "detach", no_argument, NULL, DETACH },
	{ "run-id", required_argument, NULL, RUN_ID },   { "seed", required_argument, NULL, SEED },
	{ "tap", required_argument, NULL, TAP },         { "tap-address", required_argument, NULL, TAP_ADDRESS },
	{ "mac", required_argument, NULL, MAC },         { "disk", required_argument, NULL, DISK },
	{ "disk-writable", no_argument, NULL, DISK_WRITABLE },
	{ "dry-run", no_argument, NULL, DRY_RUN },       { "unconfined", no_argument, NULL, UNCONFINED },
	{ NULL, 0, NULL, 0 },
};

int options_number(const char *text, uint64_t low, uint64_t high, uint64_t *value)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -1;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno != 0 || *end != '\0' || *value < low || *value > high ? -1 : 0;
}

int options_world(struct options *options, const char *text)
{
	options->world = strcmp(text, "realm") == 0 ? WORLD_REALM : strcmp(text, "vm") == 0 ? WORLD_VM : WORLD_NONE;
	return options->world == WORLD_NONE ? fail("--world: expected realm or vm, got '%s'", text) : 0;
}

/* A.B.C.D/PREFIX */
int options_address(struct options *options, const char *text)
{
	struct in_addr address;
	char copy[INET_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	uint64_t prefix = 0;

	if (slash == NULL || (size_t)(slash - text) >= sizeof(copy))
		return fail("--tap-address: expected A.B.C.D/PREFIX, got '%s'", text);
	memcpy(copy, text, (size_t)(slash - text));
	copy[slash - text] = '\0';
	if (inet_pton(AF_INET, copy, &address) != 1 || address.s_addr == 0 ||
	    options_number(slash + 1, 1, 30, &prefix) < 0)
		return fail("--tap-address: expected A.B.C.D/PREFIX, got '%s'", text);
	options->tap_address = ntohl(address.s_addr);
	options->tap_prefix = (unsigned int)prefix;
	return 0;
}

static int parse_mac(struct options *options, const char *text)
{
	unsigned int bytes[6], i;
	int used = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4], &bytes[5],
		   &used) != 6 || used != 17 || text[used] != '\0' || (bytes[0] & 1) != 0)
		return fail("--mac: expected six bytes as in 02:00:00:00:00:01, not of a group, got '%s'", text);
	for (i = 0; i < 6; i++)
		options->mac[i] = (uint8_t)bytes[i];
	return 0;
}

int options_tap(struct options *options, const char *text)
{
	options->tap = text;
	if (text[0] == '\0' || strlen(text) >= IFNAMSIZ || strpbrk(text, "/ %") != NULL)
		return fail("--tap: expected the name of a network interface, got '%s'", text);
	return 0;
}

static int parse_number(int option, struct options *options, const char *text)
{
	uint64_t value = 0;

	switch (option) {
	case MEM:
		if (options_number(text, RAM_MIN_MIB, RAM_MAX_MIB, &value) < 0 || value % 2 != 0)
			return fail("--mem: expected an even number of MiB from %u to %u, got '%s'", RAM_MIN_MIB,
				    RAM_MAX_MIB, text);
		options->mem_mib = (unsigned int)value;
		return 0;
	case VCPUS:
		if (options_number(text, 1, MAX_VCPUS, &value) < 0)
			return fail("--vcpus: expected 1 to %u, got '%s'", MAX_VCPUS, text);
		options->vcpus = (unsigned int)value;
		return 0;
	case CPU:
		if (options_number(text, 0, CPU_MAX, &value) < 0)
			return fail("--cpu: expected the number of a host CPU, got '%s'", text);
		options->cpu = (int)value;
		return 0;
	case SEED:
		if (options_number(text, 0, UINT64_MAX, &value) < 0)
			return fail("--seed: expected a number below 2^64, got '%s'", text);
		options->seeded = true;
		options->seed = value;
		return 0;
	default:
		if (options_number(text, 0, RUN_ID_MAX, &value) < 0)
			return fail("--run-id: expected a number below 2^63, got '%s'", text);
		options->run_id = value;
		return 0;
	}
}

static int take(int option, struct options *options, const char *text)
{
	switch (option) {
	case WORLD:
		return options_world(options, text);
	case DIR:
		options->dir = text;
		return 0;
	case KERNEL:
		options->kernel = text;
		return 0;
	case INITRD:
		options->initrd = text;
		return 0;
	case CMDLINE:
		options->cmdline = text;
		return strlen(text) <= CMDLINE_MAX ? 0 : fail("--cmdline: longer than %u bytes", CMDLINE_MAX);
	case PRETOUCH:
		options->pretouch = true;
		return 0;
	case DETACH:
		options->detach = true;
		return 0;
	case TAP:
		return options_tap(options, text);
	case TAP_ADDRESS:
		return options_address(options, text);
	case MAC:
		return parse_mac(options, text);
	case DISK:
		options->disk = text;
		return 0;
	case DISK_WRITABLE:
		options->disk_writable = true;
		return 0;
	case DRY_RUN:
		options->dry_run = true;
		return 0;
	case UNCONFINED:
		options->unconfined = true;
		return 0;
	default:
		return parse_number(option, options, text);
	}
}

static int complete(const struct options *options, bool needs_dir)
{
	if (options->tap == NULL && options->tap_address != 0)
		return fail("--tap-address needs --tap");
	if (options->disk == NULL && options->disk_writable)
		return fail("--disk-writable needs --disk");
	if (options->world == WORLD_NONE)
		return fail("expected --world realm or --world vm");
	if (needs_dir && options->dir == NULL)
		return fail("expected --dir DIR");
	if (options->kernel == NULL)
		return fail("expected --kernel IMAGE");
	if (options->initrd == NULL)
		return fail("expected --initrd FILE");
	return options->cmdline == NULL ? fail("expected --cmdline STRING") : 0;
}

int options_parse(struct options *options, int argc, char **argv, bool needs_dir)
{
	int option;

	*options = (struct options){ .mem_mib = 256, .vcpus = 1, .cpu = -1, .mac = { 2, 0, 0, 0, 0, 1 } };
	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
		if (option == ':')
			return fail("%s: expected a value", argv[optind - 1]);
		if (option == '?')
			return fail("%s: no such option; there are --world --dir --kernel --initrd --cmdline --mem "
				    "--vcpus --cpu --pretouch --detach --run-id --seed --tap --tap-address --mac --disk "
				    "--disk-writable --dry-run --unconfined", argv[optind - 1]);
		if (take(option, options, optarg) < 0)
			return -1;
	}
	if (optind < argc)
		return fail("%s: expected an option", argv[optind]);
	return complete(options, needs_dir);
}

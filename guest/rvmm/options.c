/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "layout.h"

#define RUN_ID_MAX   ((UINT64_C(1) << 63) - 1) /* orch_marker.h */
#define CPU_MAX      1023U
#define CMDLINE_MAX  2047U                     /* COMMAND_LINE_SIZE of arm64 Linux, less its NUL */

enum { WORLD = 1, DIR, KERNEL, INITRD, CMDLINE, MEM, VCPUS, CPU, PRETOUCH, DETACH, RUN_ID, SEED };

static const struct option known[] = {
	{ "world", required_argument, NULL, WORLD },     { "dir", required_argument, NULL, DIR },
	{ "kernel", required_argument, NULL, KERNEL },   { "initrd", required_argument, NULL, INITRD },
	{ "cmdline", required_argument, NULL, CMDLINE }, { "mem", required_argument, NULL, MEM },
	{ "vcpus", required_argument, NULL, VCPUS },     { "cpu", required_argument, NULL, CPU },
	{ "pretouch", no_argument, NULL, PRETOUCH },     { "detach", no_argument, NULL, DETACH },
	{ "run-id", required_argument, NULL, RUN_ID },   { "seed", required_argument, NULL, SEED },
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

static int parse_world(struct options *options, const char *text)
{
	options->world = strcmp(text, "realm") == 0 ? WORLD_REALM : strcmp(text, "vm") == 0 ? WORLD_VM : WORLD_NONE;
	return options->world == WORLD_NONE ? fail("--world: expected realm or vm, got '%s'", text) : 0;
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
		return parse_world(options, text);
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
	default:
		return parse_number(option, options, text);
	}
}

static int complete(const struct options *options, bool needs_dir)
{
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

	*options = (struct options){ .mem_mib = 256, .vcpus = 1, .cpu = -1 };
	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
		if (option == ':')
			return fail("%s: expected a value", argv[optind - 1]);
		if (option == '?')
			return fail("%s: no such option; there are --world --dir --kernel --initrd --cmdline --mem "
				    "--vcpus --cpu --pretouch --detach --run-id --seed", argv[optind - 1]);
		if (take(option, options, optarg) < 0)
			return -1;
	}
	if (optind < argc)
		return fail("%s: expected an option", argv[optind]);
	return complete(options, needs_dir);
}

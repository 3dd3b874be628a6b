/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rvmm: run one guest, in a realm (/dev/realm) or as a normal virtual machine (/dev/kvm), or look after another
 * VMM. Built for another machine than arm64 it has only what needs no guest.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "options.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
#ifdef __aarch64__
	{ "run", command_run },
	{ "wrap", command_wrap },
	{ "console", command_console },
	{ "wait", command_wait },
	{ "stop", command_stop },
#endif
	{ "dump-dtb", command_dump_dtb },
	{ "describe", command_describe },
};

int main(int argc, char **argv)
{
	unsigned int i;

	for (i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
#ifdef __aarch64__
	(void)fprintf(stderr, "rvmm: expected run OPTIONS, wrap DIR OPTIONS -- COMMAND..., console DIR, wait DIR TEXT "
			      "SECONDS, wait DIR --end, stop DIR SECONDS [--kill], dump-dtb OPTIONS or describe OPTIONS\n");
#else
	(void)fprintf(stderr, "rvmm: expected dump-dtb OPTIONS or describe OPTIONS\n");
#endif
	return EXIT_USAGE;
}

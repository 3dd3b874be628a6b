// SPDX-License-Identifier: Apache-2.0
/* What root on a malicious host tries. See docs/privacy.md. */
#include <stdio.h>
#include <string.h>

#include "commands.h"

static const struct {
	const char *name;
	int (*run)(int count, char **words);
	const char *usage;
} commands[] = {
	{ "scan", command_scan, "NEEDLES [PID...]      search physical memory, processes and files" },
	{ "stream", command_stream, "NEEDLES BASE [LIST]  search standard input, memory from address BASE on; apart in pages of LIST" },
	{ "touch", command_touch, "delegated|other COUNT SEED  read random pages, a process each" },
	{ "carve", command_carve, "FOLDER [PID...]      rebuild model files from page caches of these VMMs' guests, or name the host's own" },
	{ "dma", command_dma, "ADDRESS                have a device write to a page" },
};

int main(int count, char **words)
{
	size_t i;

	for (i = 0; count > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(words[1], commands[i].name) == 0)
			return commands[i].run(count - 2, words + 2);
	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(stderr, "attack %s %s\n", commands[i].name, commands[i].usage);
	return 2;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "counter.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct counter counter;

void counter_fatal(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("counter plugin: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	if (counter.socket_path)
		unlink(counter.socket_path);
	_exit(EXIT_FAILURE); /* exit() would wait for the other vCPUs, from a vCPU */
}

struct score *counter_score(unsigned vcpu)
{
	return qemu_plugin_scoreboard_find(counter.scores, vcpu);
}

const uint64_t *counter_primary(const struct score *score)
{
	const struct tally *tally =
		counter.mode == MODE_REFERENCE ? &score->reference : &score->fast;

	return &tally->insns[0][0];
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keep the CPU busy when nothing else wants it, at the lowest priority there is.
 *
 * A deterministic machine's virtual time is driven by executed instructions, and while every CPU waits
 * it jumps from timer to timer: every network time-out would expire at once. This task never waits, so
 * that virtual time passes at the pace of emulation. Its instructions count as user space of the host.
 *
 * A measurement stops it (SIGSTOP to the pid in /run/spin.pid, SIGCONT afterwards): it takes its small share of the
 * CPU even beside busy tasks. What is measured must then keep the CPU busy itself.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <errno.h>

int main(void)
{
	const struct sched_param none = { .sched_priority = 0 };

	if (sched_setscheduler(0, SCHED_IDLE, &none)) {
		fprintf(stderr, "orch-spin: cannot become an idle task: %s\n", strerror(errno));
		return 1;
	}
	for (;;)
		__asm__ volatile(".rept 256\n\tnop\n\t.endr");
}

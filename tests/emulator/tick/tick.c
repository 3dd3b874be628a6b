/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As init of a virtual machine: wake up every millisecond for as many seconds as the last argument says (`-- N` at the
 * end of the kernel's command line), then print one line and switch off. A timer interrupt that is lost or kept back
 * shows as lateness: time is read from the counter, wake-ups come from interrupts.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define PERIOD (SECOND / 1000)

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

/* Keep the CPU busy whenever nothing else wants it: with an idle CPU the host's timers would wake the guest, and its own
 * would never be needed to break in. */
static void be_busy(void)
{
	const struct sched_param none = { 0 };

	if (fork() != 0)
		return;
	sched_setscheduler(0, SCHED_IDLE, &none);
	for (;;)
		;
}

static void sleep_until(int64_t when)
{
	struct timespec time = { .tv_sec = when / SECOND, .tv_nsec = when % SECOND };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

int main(int argc, char **argv)
{
	long seconds = argc > 1 ? atol(argv[argc - 1]) : 10;
	long wakeups = 0, late_2ms = 0, late_20ms = 0;
	int64_t start, next, late, worst = 0;

	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	if (freopen("/dev/console", "w", stdout) == NULL)
		return 1;
	be_busy();
	printf("tick: begin\n");
	fflush(stdout);
	start = now();
	for (next = start + PERIOD; next < start + seconds * SECOND; next += PERIOD) {
		sleep_until(next);
		late = now() - next;
		wakeups++;
		late_2ms += late > 2 * PERIOD;
		late_20ms += late > 20 * PERIOD;
		worst = late > worst ? late : worst;
		/* What was slept through is not made up for. */
		if (late > PERIOD)
			next += late / PERIOD * PERIOD;
	}
	printf("tick: end wakeups=%ld late_2ms=%ld late_20ms=%ld worst_us=%ld elapsed_us=%ld\n", wakeups, late_2ms,
	       late_20ms, (long)(worst / 1000), (long)((now() - start) / 1000));
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	return 0;
}

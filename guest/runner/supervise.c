// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The library prints what it likes; all that is ours to say goes through the record. */
static void silence(void)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (nothing < 0)
		return;
	dup2(nothing, STDOUT_FILENO);
	dup2(nothing, STDERR_FILENO);
}

static int killed_by(int number, struct record *record)
{
	const char *hint = number == SIGKILL ? " (out of memory?)" : "";

	snprintf(record->why, sizeof(record->why), "%s: the runtime was ended by signal %d, %s%s",
		 record->loaded ? "inference failed" : "the model cannot be loaded", number, strsignal(number), hint);
	return record->loaded ? EXIT_INFERENCE : EXIT_INPUTS;
}

int supervise(worker_fn *worker, void *context, struct record *record, struct usage *usage)
{
	struct rusage used;
	pid_t child = fork();
	int status;

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		silence();
		_exit(worker(context, record));
	}
	if (child < 0) {
		snprintf(record->why, sizeof(record->why), "no process for the runtime: %s", strerror(errno));
		return EXIT_INFERENCE;
	}
	while (wait4(child, &status, 0, &used) < 0)
		;
	usage->peak_rss_kib = used.ru_maxrss;
	usage->minor_faults = used.ru_minflt;
	usage->major_faults = used.ru_majflt;
	return WIFSIGNALED(status) ? killed_by(WTERMSIG(status), record) : WEXITSTATUS(status);
}

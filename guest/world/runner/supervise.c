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

/* The worker is gone and did not come to its end: killed, or the library ended the process. */
static int died(int status, struct record *record)
{
	static const char *const doing[] = {
		[STAGE_WAIT] = "waiting for go",
		[STAGE_LOAD] = "the model cannot be loaded",
		[STAGE_INFER] = "inference failed",
		[STAGE_END] = "inference failed",
	};
	const int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (number)
		snprintf(record->why, sizeof(record->why), "%s: the process was ended by signal %d, %s%s", doing[record->stage],
			 number, strsignal(number), number == SIGKILL ? " (out of memory?)" : "");
	else
		snprintf(record->why, sizeof(record->why), "%s: the runtime ended the process", doing[record->stage]);
	return record->stage == STAGE_LOAD ? EXIT_INPUTS : EXIT_INFERENCE;
}

int supervise(worker_fn *worker, void *context, struct record *record, struct usage *usage)
{
	struct rusage used;
	pid_t child = fork();
	int status;

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		silence();
		status = worker(context, record);
		record->stage = STAGE_END;
		_exit(status);
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
	return WIFEXITED(status) && record->stage == STAGE_END ? WEXITSTATUS(status) : died(status, record);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel ends a process whose access was a granule protection fault with SIGKILL, which cannot be caught. So each such
 * access takes a process. One that shares our memory costs neither a copy of the page tables nor their end, which with all
 * RAM mapped are the most of a fork.
 */
#define _GNU_SOURCE
#include "exposed.h"

#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>

#include "say.h"

#define STACK_BYTES (64 * 1024)

struct task {
	void (*job)(void *context);
	void *context;
};

static int enter(void *task_pointer)
{
	const struct task *task = task_pointer;

	task->job(task->context);
	return 0;
}

/* Child and parent take turns: to wake another CPU each time would cost more than the turns. */
static void stay_on_one_cpu(void)
{
	static bool done;
	int here = sched_getcpu();
	cpu_set_t cpus;

	if (done || here < 0)
		return;
	CPU_ZERO(&cpus);
	CPU_SET((size_t)here, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	done = true;
}

bool run_exposed(void (*job)(void *context), void *context)
{
	static _Alignas(16) uint8_t stack[STACK_BYTES]; /* one at a time: we wait for its end */
	struct task task = { job, context };
	pid_t child;
	int status;

	stay_on_one_cpu();
	/* Whatever can be shared is neither copied nor freed again, and nobody is sent a signal: we wait anyway. */
	child = clone(enter, stack + STACK_BYTES, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_SYSVSEM,
		      &task);
	if (child < 0)
		fail("clone");
	if (waitpid(child, &status, __WALL) != child)
		fail("waitpid");
	if (WIFEXITED(status))
		return true;
	if (WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGBUS && WTERMSIG(status) != SIGSEGV)
		fail_with("a child ended by signal %d", WTERMSIG(status));
	return false;
}

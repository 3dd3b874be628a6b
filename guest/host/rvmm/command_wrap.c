/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look after a VMM that is not ours and knows nothing of a folder of a running guest: it gets a tap and a terminal, and
 * what `run` keeps in the folder is kept here, so that `console`, `wait` and `stop` need not know the difference.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "console.h"
#include "detach.h"
#include "error.h"
#include "marks.h"
#include "oom.h"
#include "rundir.h"
#include "tap.h"
#include "vmm_process.h"

#define TERM_SECONDS 10    /* from SIGTERM to SIGKILL */
#define OUTPUT_BYTES 65536U /* at a time: more than a terminal holds, so that what a dead VMM has printed is all read */
#define RUN_ID_MAX   ((UINT64_C(1) << 63) - 1)

enum { WORLD = 1, TAP, TAP_ADDRESS, RUN_ID, DETACH };

static const struct option known[] = {
	{ "world", required_argument, NULL, WORLD },
	{ "tap", required_argument, NULL, TAP },
	{ "tap-address", required_argument, NULL, TAP_ADDRESS },
	{ "run-id", required_argument, NULL, RUN_ID },
	{ "detach", no_argument, NULL, DETACH },
	{ NULL, 0, NULL, 0 },
};

/* One run; everything that has to be given back. */
struct job {
	struct options options;
	char **command;
	struct rundir rundir;
	struct console *console;
	struct vmm_process vmm;
	bool has_tap, stopped;   /* stopped: somebody asked for the end */
	int signal_fd, timer_fd;
	int parent;              /* --detach: where to tell how the set-up went; -1: nobody waits */
	uint8_t input[256];      /* what the VMM has not taken yet */
	size_t typed;
	char outcome[600];       /* the line of the file `exit` */
};

/* ---- Reports ------------------------------------------------------------------------------------------------ */

static void fill_stats(void *context, FILE *out)
{
	const struct job *job = context;

	(void)fprintf(out, "{\n  \"world\": \"%s\",\n  \"foreign\": true\n}\n",
		      job->options.world == WORLD_REALM ? "realm" : "vm");
}

static void fill_exit(void *context, FILE *out)
{
	const struct job *job = context;

	(void)fprintf(out, "%s\n", job->outcome);
}

static void write_report(struct job *job, const char *name, void (*fill)(void *context, FILE *out))
{
	if (rundir_write(&job->rundir, name, fill, job) < 0)
		(void)command_failed(EXIT_ERROR);
}

/* All that can be known of how such a guest ended: its VMM's exit status. */
static void judge(struct job *job, int status)
{
	const char *name = job->command[0];

	if (job->stopped)
		(void)snprintf(job->outcome, sizeof(job->outcome), "stopped");
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		(void)snprintf(job->outcome, sizeof(job->outcome), "off");
	else if (WIFEXITED(status))
		(void)snprintf(job->outcome, sizeof(job->outcome), "error: %s ended with status %d", name,
			       WEXITSTATUS(status));
	else
		(void)snprintf(job->outcome, sizeof(job->outcome), "error: %s was ended by signal %d", name,
			       WTERMSIG(status));
}

/* ---- While it runs ------------------------------------------------------------------------------------------ */

static void take_signal(struct job *job)
{
	const struct itimerspec limit = { .it_value.tv_sec = TERM_SECONDS };
	struct signalfd_siginfo info;

	if (read(job->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1) {
		write_report(job, "stats.json", fill_stats);
		return;
	}
	if (!job->stopped)
		(void)timerfd_settime(job->timer_fd, 0, &limit, NULL);
	job->stopped = true;
	vmm_process_signal(&job->vmm, SIGTERM);
}

static void take_input(void *context, const uint8_t *bytes, size_t count)
{
	struct job *job = context;

	memcpy(job->input + job->typed, bytes, count);
	job->typed += count;
}

static void pass_input(struct job *job)
{
	size_t done = vmm_process_write(&job->vmm, job->input, job->typed);

	job->typed -= done;
	memmove(job->input, job->input + done, job->typed);
}

static void pass_output(struct job *job)
{
	uint8_t bytes[4096];
	size_t count, total;

	for (total = 0; total < OUTPUT_BYTES; total += count) {
		count = vmm_process_read(&job->vmm, bytes, sizeof(bytes));
		if (count == 0)
			break;
		console_write(job->console, bytes, count);
	}
}

static void serve(struct job *job)
{
	enum { ENDED, SIGNAL, TIMER, TERMINAL, OURS };
	struct pollfd fds[OURS + CONSOLE_POLL];
	unsigned int count;
	size_t room;

	do {
		room = sizeof(job->input) - job->typed;
		fds[ENDED] = (struct pollfd){ .fd = job->vmm.handle, .events = POLLIN };
		fds[SIGNAL] = (struct pollfd){ .fd = job->signal_fd, .events = POLLIN };
		fds[TIMER] = (struct pollfd){ .fd = job->timer_fd, .events = POLLIN };
		fds[TERMINAL] = (struct pollfd){ .fd = job->vmm.terminal,
						 .events = (short)(job->typed != 0 ? POLLIN | POLLOUT : POLLIN) };
		count = console_poll(job->console, &fds[OURS], room);
		if (poll(fds, OURS + count, -1) < 0) {
			fds[ENDED].revents = 0;
			continue;
		}
		if (fds[SIGNAL].revents != 0)
			take_signal(job);
		if (fds[TIMER].revents != 0)
			break;
		if ((fds[TERMINAL].revents & POLLOUT) != 0)
			pass_input(job);
		if ((fds[TERMINAL].revents & POLLIN) != 0)
			pass_output(job);
		console_serve(job->console, &fds[OURS], count, room, take_input, job);
	} while (fds[ENDED].revents == 0);
}

/* ---- From start to end -------------------------------------------------------------------------------------- */

static int open_events(struct job *job)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigaddset(&signals, SIGUSR1);
	job->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	(void)sigaddset(&signals, SIGPIPE);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	job->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return job->signal_fd < 0 || job->timer_fd < 0 ? fail_errno("descriptors") : 0;
}

static int set_up_tap(struct job *job)
{
	const struct options *options = &job->options;

	if (options->tap == NULL)
		return 0;
	if (tap_make(options->tap) < 0)
		return -1;
	job->has_tap = true;
	return options->tap_address == 0 ? 0 : tap_set_address(options->tap, options->tap_address, options->tap_prefix);
}

static int set_up(struct job *job)
{
	job->console = console_open(job->options.dir);
	if (job->console == NULL || set_up_tap(job) < 0)
		return -1;
	MARK_BEGIN(ORCH_EVENT_BOOT, job->options.run_id);
	return vmm_process_start(&job->vmm, job->command);
}

/* The tap goes when nobody is attached to it any more; what was printed last is in the log before `exit` is there. */
static void take_down(struct job *job, bool ran)
{
	int status;

	MARK_BEGIN(ORCH_EVENT_TEARDOWN, job->options.run_id);
	status = vmm_process_end(&job->vmm);
	if (ran)
		judge(job, status);
	if (job->vmm.terminal >= 0)
		pass_output(job);
	vmm_process_close(&job->vmm);
	if (job->has_tap && tap_remove(job->options.tap) < 0)
		(void)command_failed(EXIT_ERROR);
	if (job->console != NULL)
		console_flush(job->console);
	write_report(job, "exit", fill_exit);
	if (job->console != NULL)
		console_close(job->console);
	MARK_END(ORCH_EVENT_TEARDOWN, job->options.run_id);
}

static int wrap(struct job *job)
{
	bool running, good;

	if (open_events(job) < 0 || rundir_open(&job->rundir, job->options.dir) < 0) {
		detach_tell(&job->parent, EXIT_ERROR, failure());
		rundir_close(&job->rundir);
		return job->options.detach ? EXIT_ERROR : command_failed(EXIT_ERROR);
	}
	write_report(job, "stats.json", fill_stats);
	running = set_up(job) == 0;
	if (running) {
		detach_tell(&job->parent, EXIT_OK, "");
		serve(job);
	} else {
		(void)snprintf(job->outcome, sizeof(job->outcome), "error: %s", failure());
	}
	take_down(job, running);
	good = strncmp(job->outcome, "error: ", 7) != 0;
	detach_tell(&job->parent, EXIT_ERROR, good ? "" : job->outcome + 7);
	if (!good && !job->options.detach)
		(void)fprintf(stderr, "rvmm: %s\n", job->outcome + 7);
	rundir_close(&job->rundir);
	return good ? EXIT_OK : EXIT_ERROR;
}

/* ---- The command line --------------------------------------------------------------------------------------- */

static int take(int option, struct options *options, const char *text)
{
	switch (option) {
	case WORLD:
		return options_world(options, text);
	case TAP:
		return options_tap(options, text);
	case TAP_ADDRESS:
		return options_address(options, text);
	case DETACH:
		options->detach = true;
		return 0;
	default:
		if (options_number(text, 0, RUN_ID_MAX, &options->run_id) < 0)
			return fail("--run-id: expected a number below 2^63, got '%s'", text);
		return 0;
	}
}

/* DIR OPTIONS -- COMMAND...: what stands behind the two dashes is the other VMM's alone. */
static int parse(struct job *job, int argc, char **argv)
{
	struct options *options = &job->options;
	int option, dashes;

	for (dashes = 1; dashes < argc && strcmp(argv[dashes], "--") != 0; dashes++)
		;
	if (argc < 2 || argv[1][0] == '-' || dashes + 1 >= argc)
		return fail("wrap: expected DIR --world WORLD [--tap NAME] [--tap-address ADDRESS] [--run-id N] "
			    "[--detach] -- COMMAND...");
	options->dir = argv[1];
	job->command = &argv[dashes + 1];
	opterr = 0;
	optind = 1;
	while ((option = getopt_long(dashes - 1, argv + 1, "+:", known, NULL)) != -1) {
		if (option == ':' || option == '?')
			return fail("wrap: %s: no such option, or without its value", argv[optind]);
		if (take(option, options, optarg) < 0)
			return -1;
	}
	if (optind < dashes - 1)
		return fail("wrap: %s: expected an option", argv[optind + 1]);
	if (options->world == WORLD_NONE)
		return fail("wrap: expected --world realm or --world vm");
	return options->tap == NULL && options->tap_address != 0 ? fail("--tap-address needs --tap") : 0;
}

int command_wrap(int argc, char **argv)
{
	static struct job job;
	int code;

	job.parent = job.signal_fd = job.timer_fd = -1;
	job.vmm = (struct vmm_process){ .handle = -1, .terminal = -1, .far_side = -1 };
	if (parse(&job, argc, argv) < 0)
		return command_failed(EXIT_USAGE);
	offer_to_oom_killer();
	if (job.options.detach && !detach(&job.parent, &code))
		return code;
	return wrap(&job);
}

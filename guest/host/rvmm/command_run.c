/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "backend_kvm.h"
#include "backend_realm.h"
#include "commands.h"
#include "confine.h"
#include "console.h"
#include "content.h"
#include "detach.h"
#include "error.h"
#include "oom.h"
#include "rundir.h"
#include "vm.h"

/* One run; everything that has to be given back. */
struct job {
	struct options options;
	struct rundir rundir;
	struct content content;
	struct console *console;
	struct vm vm;
	bool has_vm;
	int event_fd, signal_fd;
	char *stats;             /* the last figures as text; NULL: none yet */
	size_t stats_bytes;
	int parent;              /* --detach: where to tell how the set-up went; -1: nobody waits */
};

/* ---- Reports ----------------------------------------------------------------------------------------------- */

static void fill_stats(void *context, FILE *out)
{
#define STAT_TEXT(identifier, text) text,
	static const char *const names[] = { STATS(STAT_TEXT) };
	struct job *job = context;
	unsigned int i;

	(void)fprintf(out, "{\n  \"world\": \"%s\"", job->vm.backend->name);
	for (i = 0; i < STAT_COUNT; i++)
		(void)fprintf(out, ",\n  \"%s\": %llu", names[i],
			      (unsigned long long)atomic_load(&job->vm.stats.counts[i]));
	(void)fprintf(out, ",\n  \"time_us\": {\"create\": %llu, \"populate\": %llu, \"pretouch\": %llu, \"activate\": %llu}",
		      (unsigned long long)job->vm.time_us.create, (unsigned long long)job->vm.time_us.populate,
		      (unsigned long long)job->vm.time_us.pretouch, (unsigned long long)job->vm.time_us.activate);
	if (job->vm.state != NULL)
		job->vm.backend->report(&job->vm, out);
	(void)fprintf(out, "\n}\n");
}

/* Take the figures; they stay when the guest is taken apart. */
static void take_stats(struct job *job)
{
	FILE *text;

	free(job->stats);
	job->stats = NULL;
	text = open_memstream(&job->stats, &job->stats_bytes);
	if (text == NULL)
		return;
	fill_stats(job, text);
	(void)fclose(text);
}

static void copy_stats(void *context, FILE *out)
{
	const struct job *job = context;

	(void)fwrite(job->stats, 1, job->stats_bytes, out);
}

static void write_stats(struct job *job)
{
	if (job->stats != NULL && rundir_write(&job->rundir, "stats.json", copy_stats, job) < 0)
		(void)command_failed(EXIT_ERROR);
}

static void fill_exit(void *context, FILE *out)
{
	static const char *const words[] = { "stopped", "off", "reset", "stopped" };
	const struct job *job = context;

	if (job->vm.outcome == OUTCOME_ERROR)
		(void)fprintf(out, "error: %s\n", job->vm.error);
	else
		(void)fprintf(out, "%s\n", words[job->vm.outcome]);
}

/* ---- The main thread ---------------------------------------------------------------------------------------- */

static void take_signal(struct job *job)
{
	struct signalfd_siginfo info;

	if (read(job->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1) {
		take_stats(job);
		write_stats(job);
	} else {
		vm_end(&job->vm, OUTCOME_STOPPED, "");
	}
}

static void take_input(void *context, const uint8_t *bytes, size_t count)
{
	devices_input(context, bytes, count);
}

static void serve(struct job *job)
{
	struct pollfd fds[3 + CONSOLE_POLL];
	unsigned int count;
	uint64_t events;
	size_t room;

	while (!vm_ending(&job->vm)) {
		room = devices_input_room(&job->vm.devices);
		fds[0] = (struct pollfd){ .fd = job->signal_fd, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = job->event_fd, .events = POLLIN };
		fds[2] = (struct pollfd){ .fd = net_poll(&job->vm.devices.net), .events = POLLIN };
		count = console_poll(job->console, &fds[3], room);
		if (poll(fds, 3 + count, -1) < 0)
			continue;
		if (fds[0].revents != 0)
			take_signal(job);
		if (fds[1].revents != 0 && read(job->event_fd, &events, sizeof(events)) < 0)
			continue;
		if (fds[2].revents != 0)
			net_serve(&job->vm.devices.net);
		console_serve(job->console, &fds[3], count, room, take_input, &job->vm.devices);
	}
}

static int open_events(struct job *job)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigaddset(&signals, SIGUSR1);
	job->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	/* The threads to come inherit the mask; the kick is opened again by those who are kicked. */
	(void)sigaddset(&signals, KICK_SIGNAL);
	(void)sigaddset(&signals, SIGPIPE);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	job->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return job->signal_fd < 0 || job->event_fd < 0 ? fail_errno("descriptors") : 0;
}

/* Everything is open: from here on there is only what a guest that runs needs, before it has run at all. */
static int start(struct job *job)
{
	const struct confine confine = { .dir = job->rundir.dir, .requests = job->vm.backend->requests,
					 .tap = job->options.tap != NULL };
	bool confined = !job->options.unconfined;

	if (confined && confine_privileges(&confine, job->content.layout.ram_bytes) < 0)
		return -1;
	if (vm_start(&job->vm) < 0 || (confined && confine_calls(&confine) < 0))
		return -1;
	vm_release(&job->vm);
	return 0;
}

static int set_up(struct job *job)
{
	struct vm_parts parts = { .options = &job->options, .content = &job->content, .event_fd = job->event_fd };

	parts.backend = job->options.world == WORLD_REALM ? &backend_realm : &backend_kvm;
	if (content_load(&job->content, &job->options) < 0)
		return -1;
	job->console = console_open(job->options.dir);
	if (job->console == NULL)
		return -1;
	parts.console = job->console;
	job->has_vm = true;
	if (vm_create(&job->vm, &parts) < 0)
		return -1;
	/* The guest has its own copy. */
	content_free(&job->content);
	return start(job);
}

/* What the guest printed last is in the log before anybody reads how it ended. */
static void take_down(struct job *job)
{
	if (job->has_vm) {
		vm_join(&job->vm);
		take_stats(job);
		write_stats(job);
		vm_destroy(&job->vm);
	}
	if (job->console != NULL)
		console_flush(job->console);
	if (rundir_write(&job->rundir, "exit", fill_exit, job) < 0)
		(void)command_failed(EXIT_ERROR);
	if (job->console != NULL)
		console_close(job->console);
	rundir_remove(&job->rundir, "console.sock");
	content_free(&job->content);
	/* Once more, and last: who asked meanwhile, and took the file away to see a fresh one, got no answer. */
	write_stats(job);
	free(job->stats);
}

static int exit_code(const struct job *job)
{
	switch (job->vm.outcome) {
	case OUTCOME_RESET:
		return EXIT_RESET;
	case OUTCOME_ERROR:
		return EXIT_ERROR;
	case OUTCOME_NONE:
	case OUTCOME_OFF:
	case OUTCOME_STOPPED:
		break;
	}
	return EXIT_OK;
}

/* The set-up failed, or was told to stop: say so everywhere. */
static void give_up(struct job *job)
{
	char text[sizeof(job->vm.error)];

	(void)snprintf(text, sizeof(text), "%s", vm_interrupted() ? "stopped during set-up" : failure());
	if (job->has_vm) {
		vm_end(&job->vm, vm_interrupted() ? OUTCOME_STOPPED : OUTCOME_ERROR, text);
	} else {
		job->vm.outcome = OUTCOME_ERROR;
		(void)snprintf(job->vm.error, sizeof(job->vm.error), "%s", text);
	}
}

static int run(struct job *job)
{
	bool running;

	job->event_fd = job->signal_fd = -1;
	/* First the signals: from the moment there is a pid to be read, somebody may ask for statistics. */
	if (open_events(job) < 0 || rundir_open(&job->rundir, job->options.dir) < 0) {
		detach_tell(&job->parent, EXIT_ERROR, failure());
		rundir_close(&job->rundir);
		return job->options.detach ? EXIT_ERROR : command_failed(EXIT_ERROR);
	}
	running = set_up(job) == 0;
	if (running) {
		detach_tell(&job->parent, EXIT_OK, "");
		serve(job);
	} else {
		give_up(job);
	}
	take_down(job);
	detach_tell(&job->parent, EXIT_ERROR, job->vm.error);
	if (job->vm.outcome == OUTCOME_ERROR && !job->options.detach)
		(void)fprintf(stderr, "rvmm: %s\n", job->vm.error);
	rundir_close(&job->rundir);
	return exit_code(job);
}

static int run_detached(struct job *job)
{
	int code;

	return detach(&job->parent, &code) ? run(job) : code;
}

int command_run(int argc, char **argv)
{
	static struct job job;

	job.parent = -1;
	if (options_parse(&job.options, argc, argv, true) < 0)
		return command_failed(EXIT_USAGE);
	if (job.options.dry_run)
		return command_dry_run(&job.options);
	offer_to_oom_killer();
	return job.options.detach ? run_detached(&job) : run(&job);
}

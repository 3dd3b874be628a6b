// SPDX-License-Identifier: Apache-2.0
/*
 * runner: inference with a TFLite model, in phases that the instruction counter sees. One binary runs in all three
 * worlds; built for the build computer, it is an opinion beside the oracle's. docs/runner.md has the interface.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arm.h"
#include "clock.h"
#include "labels.h"
#include "model.h"
#include "options.h"
#include "record.h"
#include "report.h"
#include "supervise.h"
#include "worker.h"

static const char usage_text[] =
	"usage: runner describe MODEL [SIGNATURE]\n"
	"       runner run --model M --inputs FILE --iterations N --warmups W --threads T --id BASE --results FILE\n"
	"                  --output scores|topk|top1|label [--tensor NAME] [--top K] [--labels FILE]\n"
	"                  --output keypoints [--tensor NAME] [--dims D] | --output raw\n"
	"                  --output detections --boxes NAME --scores NAME [--classes NAME] [--count NAME] [--top K]\n"
	"                                      [--min-score X]\n"
	"                  [--signature KEY]\n"
	"                  [--arm UDP_PORT [--align-us U [--phase-us P]]] [--say PATH TEXT]\n"
	"       runner go ADDRESS UDP_PORT\n";

static int complain(int status, const char *what, const char *why)
{
	fprintf(stderr, "runner: %s%s%s\n", what, why ? ": " : "", why ? why : "");
	return status;
}

/* All that `run` has open. */
struct job {
	struct options options;
	struct labels labels;
	struct record *record;
	int results;
	int outputs;            /* RESULTS.out: what is released, written inside the write phase */
	int socket;             /* -1 if it starts at once */
};

static int describe_worker(void *context, struct record *record)
{
	char **words = context;
	struct buffer out = { .text = (char *)record->released, .size = record->room };
	struct model model;

	record->stage = STAGE_LOAD;
	if (!model_load(&model, words[0], words[1], 1, record->why))
		return EXIT_INPUTS;
	model_describe(&model, &out);
	record->released_bytes = out.length;
	return 0;
}

/* MODEL and, if it is given, SIGNATURE; then NULL. */
static int describe(char **words)
{
	struct record *record = record_new(0);
	struct usage usage;
	int status;

	if (!record)
		return complain(EXIT_INPUTS, "no memory", strerror(errno));
	status = supervise(describe_worker, words, record, &usage);
	if (status)
		return complain(status, record->why, NULL);
	if (fwrite(record->released, 1, record->released_bytes, stdout) != record->released_bytes || fflush(stdout))
		return complain(EXIT_INPUTS, "standard output", strerror(errno));
	return 0;
}

static int run_worker(void *context, struct record *record)
{
	struct job *job = context;

	if (job->socket >= 0 && !arm_wait(job->socket)) {
		snprintf(record->why, sizeof(record->why), "waiting for go: %s", strerror(errno));
		return EXIT_INFERENCE;
	}
	if (job->options.align_us)
		clock_align(job->options.align_us, job->options.phase_us);
	return work(&job->options, &job->labels, job->outputs, record);
}

/* The last act, for whoever waits on a console: the text in a line of its own. */
static void say(const struct options *options)
{
	int file;

	if (!options->say_path)
		return;
	file = open(options->say_path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0644);
	if (file < 0)
		return;
	dprintf(file, "%s\n", options->say_text);
	close(file);
}

/* Make the files that the run writes, empty: nothing of an earlier run can be taken for this one's. */
static int open_files(struct job *job)
{
	char outputs[PATH_MAX];
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC;
	int length = snprintf(outputs, sizeof(outputs), "%s.out", job->options.results);

	if (length >= (int)sizeof(outputs))
		return complain(EXIT_INPUTS, "--results", strerror(ENAMETOOLONG));
	job->results = open(job->options.results, flags, 0644);
	if (job->results < 0)
		return complain(EXIT_INPUTS, job->options.results, strerror(errno));
	job->outputs = open(outputs, flags, 0644);
	if (job->outputs < 0)
		return complain(EXIT_INPUTS, outputs, strerror(errno));
	return 0;
}

/* Say in the record what went wrong; returns EXIT_INPUTS. */
static int refuse(struct job *job, const char *what, const char *why)
{
	snprintf(job->record->why, sizeof(job->record->why), "%.180s: %.60s", what, why);
	return EXIT_INPUTS;
}

/* What can be known to be wrong before a process goes to the background, where nobody reads its words. */
static int check(struct job *job)
{
	const struct options *options = &job->options;

	if (access(options->model, R_OK))
		return refuse(job, options->model, strerror(errno));
	if (access(options->inputs, R_OK))
		return refuse(job, options->inputs, strerror(errno));
	if (options->labels && !labels_read(options->labels, &job->labels))
		return refuse(job, options->labels, strerror(errno));
	if (!options->arm)
		return 0;
	job->socket = arm_bind(options->port);
	if (job->socket < 0 || !arm_detach((const int[]){ job->socket, job->results, job->outputs, 0 }))
		return refuse(job, "--arm", strerror(errno));
	return 0;
}

static int finish(struct job *job, const struct usage *usage, int status)
{
	struct record *record = job->record;

	if (!report_write(job->results, &job->options, &job->labels, record, usage, status, record->why) && !status) {
		snprintf(record->why, sizeof(record->why), "%.180s: %.60s", job->options.results, strerror(errno));
		status = EXIT_INFERENCE;
	}
	if (status)
		complain(status, record->why, NULL);
	say(&job->options);
	return status;
}

static int run(int count, char **words)
{
	struct job job = { .results = -1, .outputs = -1, .socket = -1 };
	struct usage usage = { 0 };
	char problem[PROBLEM_BYTES];
	int status;

	if (!options_parse(count, words, &job.options, problem))
		return complain(EXIT_USAGE, problem, NULL);
	job.record = record_new(job.options.warmups + job.options.iterations);
	if (!job.record)
		return complain(EXIT_INPUTS, "no memory for the results", strerror(errno));
	status = open_files(&job);
	if (status) {
		say(&job.options);
		return status;
	}
	status = check(&job);
	if (!status)
		status = supervise(run_worker, &job, job.record, &usage);
	return finish(&job, &usage, status);
}

static int go(const char *address, const char *port_text)
{
	uint16_t port;

	if (!parse_port(port_text, &port))
		return complain(EXIT_USAGE, "not a port", port_text);
	if (arm_go(address, port))
		return 0;
	return errno == EINVAL ? complain(EXIT_USAGE, "not an IPv4 address", address) :
				 complain(EXIT_INPUTS, address, strerror(errno));
}

int main(int argc, char **argv)
{
	if ((argc == 3 || argc == 4) && !strcmp(argv[1], "describe"))
		return describe(argv + 2);
	if (argc >= 2 && !strcmp(argv[1], "run"))
		return run(argc - 2, argv + 2);
	if (argc == 4 && !strcmp(argv[1], "go"))
		return go(argv[2], argv[3]);
	fputs(usage_text, stderr);
	return EXIT_USAGE;
}

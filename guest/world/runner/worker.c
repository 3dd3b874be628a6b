// SPDX-License-Identifier: Apache-2.0
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "mark.h"
#include "packets.h"

#define CALIBRATIONS 8

/* All that an iteration needs, made before the first. */
struct run {
	const struct options *options;
	struct record *record;
	struct model model;
	int inputs;             /* file of input tensors */
	int outputs;            /* file of what is released */
};

static int fail(struct record *record, int status, const char *what, const char *path)
{
	snprintf(record->why, sizeof(record->why), "%.120s: %.120s", path, what);
	return status;
}

/* Make pages of the report now, so that no iteration meets a fault of its own book-keeping. */
static void touch(struct record *record, uint32_t iterations)
{
	memset(record->iterations, 0, iterations * sizeof(record->iterations[0]));
	memset(record->released, 0, iterations * record->released_bytes);
}

static int check_inputs(struct run *run)
{
	const char *path = run->options->inputs;
	struct record *record = run->record;
	char what[120];
	struct stat status;

	run->inputs = open(path, O_RDONLY | O_CLOEXEC);
	if (run->inputs < 0 || fstat(run->inputs, &status))
		return fail(record, EXIT_INPUTS, strerror(errno), path);
	if (status.st_size == 0 || (uint64_t)status.st_size % run->model.input_bytes != 0) {
		snprintf(what, sizeof(what), "%lld bytes; the model takes %zu bytes an inference, or a multiple of that",
			 (long long)status.st_size, run->model.input_bytes);
		return fail(record, EXIT_INPUTS, what, path);
	}
	record->tensors = (uint32_t)((uint64_t)status.st_size / run->model.input_bytes);
	return 0;
}

static int check_output(struct run *run, const struct labels *labels)
{
	const struct release_rule *rule = &run->options->rule;
	struct record *record = run->record;
	const uint64_t iterations = (uint64_t)run->options->iterations + run->options->warmups;
	size_t bytes;
	const struct scores scores = model_scores(&run->model, &bytes);
	char what[120] = "";

	record->type = scores.type;
	record->scale = scores.scale;
	record->zero_point = scores.zero_point;
	record->released_bytes = release_bytes(rule, bytes);
	if (rule->kind != RELEASE_SCORES && !release_ranks(scores.type))
		snprintf(what, sizeof(what), "scores of type %s have no order here; only --output scores",
			 TfLiteTypeGetName(scores.type));
	else if (rule->kind == RELEASE_TOPK && rule->top > scores.count)
		snprintf(what, sizeof(what), "has %u scores, --top asks for %u", scores.count, rule->top);
	else if (labels->count && release_ranks(scores.type) && labels->count != scores.count)
		snprintf(what, sizeof(what), "has %u scores, --labels names %u", scores.count, labels->count);
	else if (iterations * record->released_bytes > record->room)
		snprintf(what, sizeof(what), "%llu iterations release more than %zu MiB", (unsigned long long)iterations,
			 record->room >> 20);
	return *what ? fail(record, EXIT_INPUTS, what, run->options->model) : 0;
}

static bool read_input(struct run *run, uint32_t index)
{
	off_t at = (off_t)index * (off_t)run->model.input_bytes;

	for (int32_t i = 0; i < run->model.inputs; i++) {
		size_t bytes;
		void *tensor = model_input(&run->model, i, &bytes);

		if (pread(run->inputs, tensor, bytes, at) != (ssize_t)bytes)
			return false;
		at += (off_t)bytes;
	}
	return true;
}

static bool write_output(struct run *run, uint8_t *released)
{
	const size_t wanted = run->record->released_bytes;
	size_t bytes;
	const struct scores scores = model_scores(&run->model, &bytes);

	if (release_bytes(&run->options->rule, bytes) != wanted || !scores.data)
		return false;
	release(&run->options->rule, &scores, bytes, released);
	return write(run->outputs, released, wanted) == (ssize_t)wanted;
}

/* One inference in three phases. The clock is read outside the markers, which enclose nothing but the phase. */
static int iterate(struct run *run, uint32_t k)
{
	struct record *record = run->record;
	const uint64_t id = run->options->id + k;
	const uint32_t input = k < run->options->warmups ? k : k - run->options->warmups;
	struct iteration *iteration = &record->iterations[k];
	uint64_t at[6];
	bool ok;
	int status;

	errno = 0;
	iteration->input = input % record->tensors;
	at[0] = clock_ns();
	ORCH_MARK_BEGIN(ORCH_EVENT_READ, id);
	ok = read_input(run, iteration->input);
	ORCH_MARK_END(ORCH_EVENT_READ, id);
	at[1] = clock_ns();
	if (!ok)
		return fail(record, EXIT_INFERENCE, errno ? strerror(errno) : "has become shorter", run->options->inputs);
	at[2] = clock_ns();
	ORCH_MARK_BEGIN(ORCH_EVENT_INFER, id);
	status = TfLiteInterpreterInvoke(run->model.interpreter);
	ORCH_MARK_END(ORCH_EVENT_INFER, id);
	at[3] = clock_ns();
	if (status != TFLITE_OK)
		return fail(record, EXIT_INFERENCE, "the runtime could not execute it", run->options->model);
	errno = 0;
	at[4] = clock_ns();
	ORCH_MARK_BEGIN(ORCH_EVENT_WRITE, id);
	ok = write_output(run, record->released + k * record->released_bytes);
	ORCH_MARK_END(ORCH_EVENT_WRITE, id);
	at[5] = clock_ns();
	if (!ok)
		return fail(record, EXIT_INFERENCE, errno ? strerror(errno) : "an output was not written whole",
			    run->options->results);
	iteration->read_ns = at[1] - at[0];
	iteration->infer_ns = at[3] - at[2];
	iteration->write_ns = at[5] - at[4];
	record->done = k + 1;
	return 0;
}

static void calibrate(uint64_t id)
{
	for (uint64_t i = 0; i < CALIBRATIONS; i++) {
		ORCH_MARK_BEGIN(ORCH_EVENT_CALIBRATE, id + i);
		ORCH_MARK_END(ORCH_EVENT_CALIBRATE, id + i);
	}
}

static int load(struct run *run)
{
	struct record *record = run->record;
	uint64_t before, after;
	bool ok;

	before = clock_ns();
	ORCH_MARK_BEGIN(ORCH_EVENT_LOAD, run->options->id);
	ok = model_load(&run->model, run->options->model, run->options->threads, record->why);
	ORCH_MARK_END(ORCH_EVENT_LOAD, run->options->id);
	after = clock_ns();
	record->load_ns = after - before;
	record->nodes = run->model.nodes;
	record->delegated = run->model.delegated;
	return ok ? 0 : EXIT_INPUTS;
}

int work(const struct options *options, const struct labels *labels, int outputs, struct record *record)
{
	const uint32_t iterations = options->warmups + options->iterations;
	struct run run = { .options = options, .record = record, .outputs = outputs };
	const uint64_t packets = packets_received();
	int status;

	record->stage = STAGE_LOAD;
	record->begin_ns = clock_ns();
	calibrate(options->id);
	status = load(&run);
	if (!status)
		status = check_inputs(&run);
	if (!status)
		status = check_output(&run, labels);
	if (!status) {
		touch(record, iterations);
		record->stage = STAGE_INFER;
	}
	for (uint32_t k = 0; !status && k < iterations; k++)
		status = iterate(&run, k);
	record->end_ns = clock_ns();
	record->rx_packets = packets_received() - packets;
	return status;
}

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
	uint32_t reads;         /* outputs that are read, and ... */
	const struct port *read[OUTPUTS_MAX];   /* ... which; NULL: a role that no tensor has */
	int inputs;             /* file of input tensors */
	int outputs;            /* file of what is released */
};

static int fail(struct record *record, int status, const char *what, const char *path)
{
	snprintf(record->why, sizeof(record->why), "%.120s: %.160s", path, what);
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

/* Which tensors are read: all of them, or those that are named, or the only one. False with the reason in `what`. */
static bool choose(struct run *run, char *what, size_t size)
{
	const struct options *options = run->options;
	const struct ports *ports = &run->model.ports;
	const enum release kind = options->rule.kind;

	run->reads = kind == RELEASE_RAW ? ports->outputs : kind == RELEASE_DETECTIONS ? ROLES : 1;
	if (run->reads > OUTPUTS_MAX)
		return snprintf(what, size, "has %u outputs, more than %d", run->reads, OUTPUTS_MAX) < 0;
	for (uint32_t i = 0; i < run->reads; i++) {
		const char *name = kind == RELEASE_RAW ? ports->output[i].name : options->tensors[i];
		const int at = name ? ports_find(ports, name) : 0;

		if (!name && kind == RELEASE_DETECTIONS)
			continue;
		if (!name && ports->outputs > 1)
			return snprintf(what, size, "has %u outputs: --tensor says which", ports->outputs) < 0;
		if (at < 0)
			return snprintf(what, size, "has no output '%.80s'", name) < 0;
		run->read[i] = &ports->output[at];
	}
	return true;
}

/* The tensors that are read, as they are now. */
static void view(const struct run *run, struct scores *views)
{
	for (uint32_t i = 0; i < run->reads; i++)
		views[i] = run->read[i] ? ports_view(run->read[i]) : (struct scores){ 0 };
}

/* What the report needs to know of the tensors when the interpreter is gone. */
static void note(const struct run *run, const struct scores *views)
{
	struct record *record = run->record;
	struct buffer names = { .text = record->names, .size = sizeof(record->names) - 1 };

	record->type = views[0].type;
	record->scale = views[0].scale;
	record->zero_point = views[0].zero_point;
	record->outputs = run->reads;
	for (uint32_t i = 0; i < run->reads; i++)
		record->sizes[i] = views[i].bytes;
	ports_names(&run->model.ports, &names);
	if (buffer_full(&names))
		snprintf(record->names, sizeof(record->names), "[]");
}

static int check_output(struct run *run, const struct labels *labels)
{
	const struct release_rule *rule = &run->options->rule;
	struct record *record = run->record;
	const uint64_t iterations = (uint64_t)run->options->iterations + run->options->warmups;
	struct scores views[OUTPUTS_MAX];
	char what[160] = "";

	if (!choose(run, what, sizeof(what)))
		return fail(record, EXIT_INPUTS, what, run->options->model);
	view(run, views);
	note(run, views);
	if (!release_fits(rule, views, what, sizeof(what)))
		return fail(record, EXIT_INPUTS, what, run->options->model);
	record->released_bytes = release_bytes(rule, views, run->reads);
	if (labels->count && release_names_classes(rule->kind) && labels->count != views[0].count)
		snprintf(what, sizeof(what), "has %u scores, --labels names %u", views[0].count, labels->count);
	else if (iterations * record->released_bytes > record->room)
		snprintf(what, sizeof(what), "%llu iterations release more than %zu MiB", (unsigned long long)iterations,
			 record->room >> 20);
	return *what ? fail(record, EXIT_INPUTS, what, run->options->model) : 0;
}

static bool read_input(struct run *run, uint32_t index)
{
	off_t at = (off_t)index * (off_t)run->model.input_bytes;

	for (uint32_t i = 0; i < run->model.ports.inputs; i++) {
		const struct port *port = &run->model.ports.input[i];

		if (pread(run->inputs, TfLiteTensorData(port->tensor), port->bytes, at) != (ssize_t)port->bytes)
			return false;
		at += (off_t)port->bytes;
	}
	return true;
}

static bool write_output(struct run *run, uint8_t *released)
{
	const struct release_rule *rule = &run->options->rule;
	const size_t wanted = run->record->released_bytes;
	struct scores views[OUTPUTS_MAX];

	view(run, views);
	for (uint32_t i = 0; i < run->reads; i++)
		if (run->read[i] && (!views[i].data || views[i].bytes != run->record->sizes[i]))
			return false;
	release(rule, views, run->reads, released);
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
	status = ports_invoke(&run->model.ports);
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
	ok = model_load(&run->model, run->options->model, run->options->signature, run->options->threads, record->why);
	ORCH_MARK_END(ORCH_EVENT_LOAD, run->options->id);
	after = clock_ns();
	record->load_ns = after - before;
	record->nodes = run->model.nodes;
	record->delegated = run->model.delegated;
	memcpy(record->without, run->model.without, sizeof(record->without));
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

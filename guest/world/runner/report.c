// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tflite.h"

/* Enough for a line that releases no scores: numbers, RELEASE_TOP_MAX pairs, and the user's own strings. */
#define LINE_BYTES ((size_t)32 << 10)
/* Characters for a byte that leaves: two in hex; of a float, with its comma and brackets, at most 24. */
#define NUMBER_TEXT 6

static void start_line(struct buffer *line, const struct options *options, const struct record *record)
{
	put(line, "{\"event\":\"start\",\"model\":");
	put_string(line, options->model);
	put(line, ",\"inputs\":");
	put_string(line, options->inputs);
	put(line, ",\"tensors\":%u,\"iterations\":%u,\"warmups\":%u,\"threads\":%u,\"id\":%" PRIu64 ",\"output\":\"%s\"",
	    record->tensors, options->iterations, options->warmups, options->threads, options->id,
	    release_name(options->rule.kind));
	if (options->rule.kind == RELEASE_TOPK || options->rule.kind == RELEASE_DETECTIONS)
		put(line, ",\"top\":%u", options->rule.top);
	put(line, ",\"clock_ns\":%" PRIu64 "}\n", record->begin_ns);
}

static void load_line(struct buffer *line, const struct record *record)
{
	put(line, "{\"event\":\"load\",\"ns\":%" PRIu64 ",\"nodes\":%d,\"delegated\":%d", record->load_ns, record->nodes,
	    record->delegated);
	if (*record->without) {
		put(line, ",\"without\":");
		put_string(line, record->without);
	}
	if (*record->names) {
		put(line, ",\"outputs\":");
		put_bytes(line, record->names, strlen(record->names));
	}
	put(line, "}\n");
}

static void put_ranked(struct buffer *line, const uint8_t *released)
{
	struct ranked ranked;

	memcpy(&ranked, released, sizeof(ranked));
	put(line, "[%u,", ranked.index);
	put_float(line, ranked.score);
	put(line, "]");
}

static void put_scores(struct buffer *line, const struct record *record, const uint8_t *released)
{
	put(line, "\"scores_hex\":\"");
	put_hex(line, released, record->released_bytes);
	put(line, "\",\"dtype\":\"%s\",\"scale\":", TfLiteTypeGetName(record->type));
	put_float(line, record->scale);
	put(line, ",\"zero_point\":%d", record->zero_point);
}

static void put_raw(struct buffer *line, const struct record *record, const uint8_t *released)
{
	put(line, "\"raw\":[");
	for (uint32_t i = 0; i < record->outputs; i++) {
		put(line, "%s\"", i ? "," : "");
		put_hex(line, released, record->sizes[i]);
		put(line, "\"");
		released += record->sizes[i];
	}
	put(line, "]");
}

static void put_floats(struct buffer *line, const uint8_t *numbers, size_t count)
{
	float value;

	put(line, "[");
	for (size_t i = 0; i < count; i++) {
		memcpy(&value, numbers + i * sizeof(value), sizeof(value));
		put(line, "%s", i ? "," : "");
		put_float(line, value);
	}
	put(line, "]");
}

static void put_points(struct buffer *line, const struct options *options, const struct record *record,
		       const uint8_t *released)
{
	const size_t point = options->rule.dims * sizeof(float);

	put(line, "\"keypoints\":[");
	for (size_t at = 0; at < record->released_bytes; at += point) {
		put(line, "%s", at ? "," : "");
		put_floats(line, released + at, options->rule.dims);
	}
	put(line, "]");
}

static void put_detections(struct buffer *line, const struct options *options, const uint8_t *released)
{
	struct detection found;

	put(line, "\"detections\":[");
	for (uint32_t i = 0; i < options->rule.top; i++) {
		memcpy(&found, released + i * sizeof(found), sizeof(found));
		if (found.index == NO_DETECTION)
			break;
		put(line, "%s[%u,%d,", i ? "," : "", found.index, found.class);
		put_float(line, found.score);
		put(line, ",");
		put_floats(line, (const uint8_t *)found.box, BOX);
		put(line, "]");
	}
	put(line, "]");
}

/* Names follow from the indices that are released, so they tell nothing more. */
static void put_names(struct buffer *line, const struct options *options, const struct labels *labels,
		      const uint8_t *released)
{
	const uint32_t count = options->rule.kind == RELEASE_TOPK ? options->rule.top : 1;
	const size_t step = options->rule.kind == RELEASE_LABEL ? sizeof(uint32_t) : sizeof(struct ranked);
	uint32_t index;

	if (!labels->count || !release_names_classes(options->rule.kind))
		return;
	put(line, ",\"names\":[");
	for (uint32_t i = 0; i < count; i++) {
		memcpy(&index, released + i * step, sizeof(index));
		put(line, "%s", i ? "," : "");
		put_string(line, labels->names[index]);
	}
	put(line, "]");
}

static void put_output(struct buffer *line, const struct options *options, const struct record *record,
		       const uint8_t *released)
{
	uint32_t index;

	switch (options->rule.kind) {
	case RELEASE_SCORES:
		put_scores(line, record, released);
		break;
	case RELEASE_TOPK:
		put(line, "\"topk\":[");
		for (uint32_t i = 0; i < options->rule.top; i++) {
			put(line, "%s", i ? "," : "");
			put_ranked(line, released + i * sizeof(struct ranked));
		}
		put(line, "]");
		break;
	case RELEASE_RAW:
		put_raw(line, record, released);
		break;
	case RELEASE_KEYPOINTS:
		put_points(line, options, record, released);
		break;
	case RELEASE_DETECTIONS:
		put_detections(line, options, released);
		break;
	case RELEASE_TOP1:
		put(line, "\"top1\":");
		put_ranked(line, released);
		break;
	default:
		memcpy(&index, released, sizeof(index));
		put(line, "\"label\":%u", index);
	}
}

static void iteration_line(struct buffer *line, const struct options *options, const struct labels *labels,
			   const struct record *record, uint32_t k)
{
	const struct iteration *iteration = &record->iterations[k];
	const uint8_t *released = record->released + k * record->released_bytes;

	put(line, "{\"event\":\"iteration\",\"k\":%u,\"warmup\":%s,\"input\":%u,\"id\":%" PRIu64, k,
	    k < options->warmups ? "true" : "false", iteration->input, options->id + k);
	put(line, ",\"ns\":{\"read\":%" PRIu64 ",\"infer\":%" PRIu64 ",\"write\":%" PRIu64 "},\"output\":{",
	    iteration->read_ns, iteration->infer_ns, iteration->write_ns);
	put_output(line, options, record, released);
	put_names(line, options, labels, released);
	put(line, "}}\n");
}

static void end_line(struct buffer *line, const struct record *record, const struct usage *usage, int status,
		     const char *why)
{
	put(line, "{\"event\":\"end\",\"status\":\"%s\",\"error\":", status ? "error" : "ok");
	if (status)
		put_string(line, why);
	else
		put(line, "null");
	put(line, ",\"exit_status\":%d,\"peak_rss_kib\":%ld,\"minor_faults\":%ld,\"major_faults\":%ld", status,
	    usage->peak_rss_kib, usage->minor_faults, usage->major_faults);
	put(line, ",\"rx_packets_during\":%" PRIu64 ",\"xnnpack\":%s", record->rx_packets,
	    record->delegated > 0 ? "true" : "false");
	put(line, ",\"clock_ns\":%" PRIu64 ",\"runtime\":", record->end_ns);
	put_string(line, TfLiteVersion());
	put(line, "}\n");
}

/* Empty the buffer into the file. */
static bool flush(struct buffer *line, int file)
{
	size_t sent = 0;

	if (buffer_full(line)) {
		errno = EOVERFLOW;
		return false;
	}
	while (sent < line->length) {
		ssize_t written = write(file, line->text + sent, line->length - sent);

		if (written < 0)
			return false;
		sent += (size_t)written;
	}
	line->length = 0;
	return true;
}

bool report_write(int file, const struct options *options, const struct labels *labels, const struct record *record,
		  const struct usage *usage, int status, const char *why)
{
	struct buffer line = { .size = LINE_BYTES + NUMBER_TEXT * record->released_bytes };
	bool ok;

	for (uint32_t i = 0; i < labels->count; i++)        /* any of them may be named in a line */
		line.size += 6 * strlen(labels->names[i]);
	line.text = malloc(line.size);
	if (!line.text)
		return false;
	start_line(&line, options, record);
	ok = flush(&line, file);
	if (record->load_ns)
		load_line(&line, record);
	for (uint32_t k = 0; ok && k < record->done; k++) {
		iteration_line(&line, options, labels, record, k);
		ok = flush(&line, file);
	}
	end_line(&line, record, usage, status, why);
	ok = ok && flush(&line, file);
	free(line.text);
	return ok;
}

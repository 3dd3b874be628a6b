// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../abi/orch_marker.h"

#define DEFAULT_TOP 5
#define DEFAULT_DIMS 2
#define ALIGN_MAX_US 1000000000

enum kind { TEXT, NUMBER, REAL, RELEASE, SAY };

/* One option: where its value goes and, for a number, between what it lies. */
struct option {
	const char *name;
	enum kind kind;
	size_t offset;
	size_t size;
	uint64_t low;
	uint64_t high;
	bool required;
};

#define FIELD(member) offsetof(struct options, member), sizeof(((struct options *)0)->member)

static const struct option known[] = {
	{ "--model", TEXT, FIELD(model), 0, 0, true },
	{ "--inputs", TEXT, FIELD(inputs), 0, 0, true },
	{ "--iterations", NUMBER, FIELD(iterations), 1, ITERATIONS_MAX, true },
	{ "--warmups", NUMBER, FIELD(warmups), 0, ITERATIONS_MAX, true },
	{ "--threads", NUMBER, FIELD(threads), 1, THREADS_MAX, true },
	{ "--output", RELEASE, FIELD(rule.kind), 0, 0, true },
	{ "--id", NUMBER, FIELD(id), 0, ORCH_MARKER_ID_MAX - 2 * ITERATIONS_MAX, true },
	{ "--results", TEXT, FIELD(results), 0, 0, true },
	{ "--top", NUMBER, FIELD(rule.top), 1, RELEASE_TOP_MAX, false },
	{ "--dims", NUMBER, FIELD(rule.dims), 1, RELEASE_DIMS_MAX, false },
	{ "--min-score", REAL, FIELD(rule.min_score), 0, 0, false },
	{ "--signature", TEXT, FIELD(signature), 0, 0, false },
	{ "--tensor", TEXT, FIELD(tensors[0]), 0, 0, false },
	{ "--boxes", TEXT, FIELD(tensors[ROLE_BOXES]), 0, 0, false },
	{ "--scores", TEXT, FIELD(tensors[ROLE_SCORES]), 0, 0, false },
	{ "--classes", TEXT, FIELD(tensors[ROLE_CLASSES]), 0, 0, false },
	{ "--count", TEXT, FIELD(tensors[ROLE_COUNT]), 0, 0, false },
	{ "--labels", TEXT, FIELD(labels), 0, 0, false },
	{ "--arm", NUMBER, FIELD(port), 1, UINT16_MAX, false },
	{ "--align-us", NUMBER, FIELD(align_us), 1, ALIGN_MAX_US, false },
	{ "--phase-us", NUMBER, FIELD(phase_us), 0, ALIGN_MAX_US, false },
	{ "--say", SAY, FIELD(say_path), 0, 0, false },
};

#define KNOWN (sizeof(known) / sizeof(known[0]))

static bool parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')         /* strtoull would take " -1" */
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' && *value >= low && *value <= high;
}

bool parse_port(const char *text, uint16_t *port)
{
	uint64_t value;

	if (!parse_number(text, 1, UINT16_MAX, &value))
		return false;
	*port = (uint16_t)value;
	return true;
}

/* The number's width is that of the member it goes to. */
static bool store_number(const struct option *option, const char *text, void *member)
{
	uint64_t value;

	if (!parse_number(text, option->low, option->high, &value))
		return false;
	if (option->size == sizeof(uint64_t))
		memcpy(member, &value, sizeof(value));
	else if (option->size == sizeof(uint32_t))
		memcpy(member, &(uint32_t){ (uint32_t)value }, sizeof(uint32_t));
	else
		memcpy(member, &(uint16_t){ (uint16_t)value }, sizeof(uint16_t));
	return true;
}

static bool store_real(const char *text, void *member)
{
	char *end;
	float value = strtof(text, &end);

	if (end == text || *end || !isfinite(value))
		return false;
	memcpy(member, &value, sizeof(value));
	return true;
}

static bool store(const struct option *option, char **words, struct options *options, char *problem)
{
	void *member = (char *)options + option->offset;
	const char *text = words[1];

	switch (option->kind) {
	case TEXT:
		memcpy(member, &text, sizeof(text));
		return true;
	case SAY:
		options->say_path = words[1];
		options->say_text = words[2];
		return true;
	case RELEASE:
		if (release_parse(text, &options->rule.kind))
			return true;
		snprintf(problem, PROBLEM_BYTES,
			 "%s: one of scores, topk, top1, label, raw, keypoints, detections expected", option->name);
		return false;
	case REAL:
		if (store_real(text, member))
			return true;
		snprintf(problem, PROBLEM_BYTES, "%s: a number expected", option->name);
		return false;
	default:
		if (store_number(option, text, member))
			return true;
		snprintf(problem, PROBLEM_BYTES, "%s: a number from %llu to %llu expected", option->name,
			 (unsigned long long)option->low, (unsigned long long)option->high);
		return false;
	}
}

static const struct option *find(const char *name)
{
	for (size_t i = 0; i < KNOWN; i++)
		if (!strcmp(known[i].name, name))
			return &known[i];
	return NULL;
}

/* Options that mean something to some kinds of output only. */
static const struct {
	const char *name;
	unsigned int kinds;     /* a bit for each */
	bool needed;
} belongs[] = {
	{ "--top", 1U << RELEASE_TOPK | 1U << RELEASE_DETECTIONS, false },
	{ "--dims", 1U << RELEASE_KEYPOINTS, false },
	{ "--min-score", 1U << RELEASE_DETECTIONS, false },
	{ "--tensor", ~(1U << RELEASE_DETECTIONS | 1U << RELEASE_RAW), false },
	{ "--boxes", 1U << RELEASE_DETECTIONS, true },
	{ "--scores", 1U << RELEASE_DETECTIONS, true },
	{ "--classes", 1U << RELEASE_DETECTIONS, false },
	{ "--count", 1U << RELEASE_DETECTIONS, false },
};

static bool fits(const bool *given, const struct options *options, char *problem)
{
	for (size_t i = 0; i < sizeof(belongs) / sizeof(belongs[0]); i++) {
		const bool said = given[find(belongs[i].name) - known];
		const bool mine = belongs[i].kinds >> options->rule.kind & 1;

		if (said && !mine) {
			snprintf(problem, PROBLEM_BYTES, "%s means nothing with --output %s", belongs[i].name,
				 release_name(options->rule.kind));
			return false;
		}
		if (mine && belongs[i].needed && !said) {
			snprintf(problem, PROBLEM_BYTES, "%s is missing", belongs[i].name);
			return false;
		}
	}
	return true;
}

static bool complete(const bool *given, struct options *options, char *problem)
{
	for (size_t i = 0; i < KNOWN; i++) {
		if (known[i].required && !given[i]) {
			snprintf(problem, PROBLEM_BYTES, "%s is missing", known[i].name);
			return false;
		}
	}
	options->arm = given[find("--arm") - known];
	if (options->align_us && !options->arm) {
		snprintf(problem, PROBLEM_BYTES, "--align-us means nothing without --arm");
		return false;
	}
	if (options->phase_us && options->phase_us >= options->align_us) {
		snprintf(problem, PROBLEM_BYTES, "--phase-us: a number below that of --align-us expected");
		return false;
	}
	return fits(given, options, problem);
}

bool options_parse(int count, char **words, struct options *options, char *problem)
{
	bool given[KNOWN] = { false };

	*options = (struct options){ .rule = { .top = DEFAULT_TOP, .dims = DEFAULT_DIMS, .min_score = -INFINITY } };
	for (int at = 0; at < count;) {
		const struct option *option = find(words[at]);
		int values = option && option->kind == SAY ? 2 : 1;

		if (!option) {
			snprintf(problem, PROBLEM_BYTES, "unknown option: %.100s", words[at]);
			return false;
		}
		if (given[option - known]) {
			snprintf(problem, PROBLEM_BYTES, "%s is given twice", option->name);
			return false;
		}
		if (count - at <= values) {
			snprintf(problem, PROBLEM_BYTES, "%s: value missing", option->name);
			return false;
		}
		if (!store(option, words + at, options, problem))
			return false;
		given[option - known] = true;
		at += 1 + values;
	}
	return complete(given, options, problem);
}

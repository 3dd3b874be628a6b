// SPDX-License-Identifier: Apache-2.0
#include "release.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tflite.h"

static const char *const names[] = {
	[RELEASE_SCORES] = "scores",
	[RELEASE_TOPK] = "topk",
	[RELEASE_TOP1] = "top1",
	[RELEASE_LABEL] = "label",
	[RELEASE_RAW] = "raw",
	[RELEASE_KEYPOINTS] = "keypoints",
	[RELEASE_DETECTIONS] = "detections",
};

bool release_parse(const char *name, enum release *kind)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(name, names[i])) {
			*kind = (enum release)i;
			return true;
		}
	}
	return false;
}

const char *release_name(enum release kind)
{
	return names[kind];
}

bool release_names_classes(enum release kind)
{
	return kind == RELEASE_TOPK || kind == RELEASE_TOP1 || kind == RELEASE_LABEL;
}

const char *release_type(int type)
{
	/* As the library calls them, by their numbers in its ABI. */
	static const char *const types[] = {
		"NOTYPE", "FLOAT32", "INT32",   "UINT8",      "INT64",  "STRING",   "BOOL",    "INT16",  "COMPLEX64", "INT8",
		"FLOAT16", "FLOAT64", "COMPLEX128", "UINT64", "RESOURCE", "VARIANT", "UINT32", "UINT16",    "INT4",
		"BFLOAT16",
	};

	return type >= 0 && (size_t)type < sizeof(types) / sizeof(types[0]) ? types[type] : "UNKNOWN";
}

bool release_ranks(int type)
{
	return type == TFLITE_BOOL || type == TFLITE_INT8 || type == TFLITE_UINT8 || release_width(type) > 1;
}

size_t release_width(int type)
{
	switch (type) {
	case TFLITE_INT64:
	case TFLITE_UINT64:
	case TFLITE_FLOAT64:
		return 8;
	case TFLITE_FLOAT32:
	case TFLITE_INT32:
	case TFLITE_UINT32:
		return 4;
	case TFLITE_FLOAT16:
	case TFLITE_INT16:
	case TFLITE_UINT16:
		return 2;
	default:
		return 1;
	}
}

/* What lies there as a TYPE, wherever it lies. */
#define READ(type, at) (((const struct { type value; } __attribute__((packed, may_alias)) *)(at))->value)

/* A number as it stands in the tensor, exact in a double but for whole numbers beyond 2^53. */
static double raw(const struct scores *scores, uint32_t index)
{
	const uint8_t *at = (const uint8_t *)scores->data + index * release_width(scores->type);

	switch (scores->type) {
	case TFLITE_FLOAT32:
		return (double)READ(float, at);
	case TFLITE_FLOAT16:
		return (double)READ(_Float16, at);
	case TFLITE_FLOAT64:
		return READ(double, at);
	case TFLITE_INT64:
		return (double)READ(int64_t, at);
	case TFLITE_UINT64:
		return (double)READ(uint64_t, at);
	case TFLITE_INT32:
		return READ(int32_t, at);
	case TFLITE_UINT32:
		return READ(uint32_t, at);
	case TFLITE_INT16:
		return READ(int16_t, at);
	case TFLITE_UINT16:
		return READ(uint16_t, at);
	case TFLITE_INT8:
		return READ(int8_t, at);
	default:
		return *at;
	}
}

/* Quantization is affine with a positive scale, so the order of raw scores is that of the real ones. */
static float real_value(const struct scores *scores, double value)
{
	if (scores->scale == 0.0f || scores->type == TFLITE_FLOAT32)
		return (float)value;
	return (float)((double)scores->scale * (value - scores->zero_point));
}

static bool better(double one, double other)
{
	return one > other || (isnan(other) && !isnan(one));
}

/* The best so far, in order. */
struct list {
	struct ranked *best;
	uint32_t top;
	uint32_t have;
	double values[RELEASE_TOP_MAX];
};

static void insert(struct list *list, double value, struct ranked one)
{
	uint32_t at = list->have;

	while (at > 0 && better(value, list->values[at - 1]))
		at--;
	if (at == list->top)
		return;
	if (list->have < list->top)
		list->have++;
	memmove(&list->values[at + 1], &list->values[at], (list->have - at - 1) * sizeof(list->values[0]));
	memmove(&list->best[at + 1], &list->best[at], (list->have - at - 1) * sizeof(list->best[0]));
	list->values[at] = value;
	list->best[at] = one;
}

void rank(const struct scores *scores, uint32_t top, struct ranked *best)
{
	struct list list = { .best = best, .top = top };

	for (uint32_t i = 0; i < scores->count; i++) {
		double value = raw(scores, i);

		insert(&list, value, (struct ranked){ .index = i, .score = real_value(scores, value) });
	}
}

/* The best class of an anchor: where its scores are one for each class, that of the highest. */
static uint32_t best_class(const struct scores *scores, uint32_t anchor, uint32_t width)
{
	uint32_t best = 0;

	for (uint32_t class = 1; class < width; class++)
		if (better(raw(scores, anchor * width + class), raw(scores, anchor * width + best)))
			best = class;
	return best;
}

/* How many rows of the boxes there are; where a tensor says how many of them are meant, so many. */
static uint32_t anchors_of(const struct scores *tensors)
{
	const uint32_t rows = tensors[ROLE_BOXES].count / tensors[ROLE_BOXES].last;
	double said;

	if (!tensors[ROLE_COUNT].data)
		return rows;
	said = raw(&tensors[ROLE_COUNT], 0);
	return said >= rows ? rows : said > 0 ? (uint32_t)said : 0;
}

/* The number of a class; what is none, or beyond all numbers, is -1. */
static int32_t class_number(float value)
{
	return value >= 0.0f && value < (float)INT32_MAX ? (int32_t)value : -1;
}

static struct detection detection_of(const struct scores *tensors, struct ranked one, uint32_t width)
{
	const struct scores *boxes = &tensors[ROLE_BOXES], *classes = &tensors[ROLE_CLASSES];
	struct detection found = { .index = one.index, .score = one.score };

	if (classes->data)
		found.class = class_number(real_value(classes, raw(classes, one.index)));
	else
		found.class = (int32_t)best_class(&tensors[ROLE_SCORES], one.index, width);
	for (uint32_t i = 0; i < BOX; i++)
		found.box[i] = real_value(boxes, raw(boxes, one.index * boxes->last + i));
	return found;
}

static void detect(const struct release_rule *rule, const struct scores *tensors, struct detection *out)
{
	const struct scores *scores = &tensors[ROLE_SCORES];
	const uint32_t width = scores->count / (tensors[ROLE_BOXES].count / tensors[ROLE_BOXES].last);
	const uint32_t anchors = anchors_of(tensors);
	struct ranked best[RELEASE_TOP_MAX];
	struct list list = { .best = best, .top = rule->top };

	for (uint32_t i = 0; i < anchors; i++) {
		double value = raw(scores, i * width + best_class(scores, i, width));
		float score = real_value(scores, value);

		if (score >= rule->min_score)
			insert(&list, value, (struct ranked){ .index = i, .score = score });
	}
	for (uint32_t i = 0; i < rule->top; i++)
		out[i] = i < list.have ? detection_of(tensors, best[i], width) : (struct detection){ .index = NO_DETECTION };
}

static bool fits_detections(const struct scores *tensors, char *what, size_t size)
{
	const struct scores *boxes = &tensors[ROLE_BOXES], *scores = &tensors[ROLE_SCORES];
	const uint32_t rows = boxes->last ? boxes->count / boxes->last : 0;

	for (int role = 0; role < ROLES; role++)
		if (tensors[role].data && (!release_ranks(tensors[role].type) || !tensors[role].count))
			return snprintf(what, size, "a tensor of detections is of type %s", release_type(tensors[role].type)) < 0;
	if (!scores->data || rows == 0 || boxes->last < BOX)
		return snprintf(what, size, "boxes of %u numbers; %d are expected, and scores", boxes->last, BOX) < 0;
	if (scores->count % rows)
		return snprintf(what, size, "%u boxes, and %u scores", rows, scores->count) < 0;
	if (tensors[ROLE_CLASSES].data && tensors[ROLE_CLASSES].count != rows)
		return snprintf(what, size, "%u boxes, and %u classes", rows, tensors[ROLE_CLASSES].count) < 0;
	return true;
}

bool release_fits(const struct release_rule *rule, const struct scores *tensors, char *what, size_t size)
{
	const struct scores *first = &tensors[0];

	if (rule->kind == RELEASE_SCORES || rule->kind == RELEASE_RAW)
		return true;
	if (rule->kind == RELEASE_DETECTIONS)
		return fits_detections(tensors, what, size);
	if (!release_ranks(first->type))
		return snprintf(what, size, "numbers of type %s cannot be read here; only --output scores or raw",
				release_type(first->type)) < 0;
	if (rule->kind == RELEASE_KEYPOINTS) {
		if (first->count % rule->dims == 0)
			return true;
		return snprintf(what, size, "has %u numbers, which are no points of %u", first->count, rule->dims) < 0;
	}
	if (first->count != first->longest)
		return snprintf(what, size, "has %u numbers in rows of %u: no list of scores", first->count, first->last) < 0;
	if (rule->kind == RELEASE_TOPK && rule->top > first->count)
		return snprintf(what, size, "has %u scores, --top asks for %u", first->count, rule->top) < 0;
	return true;
}

size_t release_bytes(const struct release_rule *rule, const struct scores *tensors, uint32_t count)
{
	size_t bytes = 0;

	switch (rule->kind) {
	case RELEASE_RAW:
	case RELEASE_SCORES:
		for (uint32_t i = 0; i < count; i++)
			bytes += tensors[i].bytes;
		return bytes;
	case RELEASE_TOPK:
		return rule->top * sizeof(struct ranked);
	case RELEASE_TOP1:
		return sizeof(struct ranked);
	case RELEASE_KEYPOINTS:
		return tensors[0].count * sizeof(float);
	case RELEASE_DETECTIONS:
		return rule->top * sizeof(struct detection);
	default:
		return sizeof(uint32_t);
	}
}

static void copy_all(const struct scores *tensors, uint32_t count, uint8_t *out)
{
	for (uint32_t i = 0; i < count; i++) {
		memcpy(out, tensors[i].data, tensors[i].bytes);
		out += tensors[i].bytes;
	}
}

static void points(const struct scores *tensor, float *out)
{
	for (uint32_t i = 0; i < tensor->count; i++)
		out[i] = real_value(tensor, raw(tensor, i));
}

void release(const struct release_rule *rule, const struct scores *tensors, uint32_t count, void *out)
{
	struct ranked best[RELEASE_TOP_MAX];

	switch (rule->kind) {
	case RELEASE_RAW:
	case RELEASE_SCORES:
		copy_all(tensors, count, out);
		return;
	case RELEASE_KEYPOINTS:
		points(&tensors[0], out);
		return;
	case RELEASE_DETECTIONS:
		detect(rule, tensors, out);
		return;
	default:
		rank(&tensors[0], rule->kind == RELEASE_TOPK ? rule->top : 1, best);
		if (rule->kind == RELEASE_LABEL)
			memcpy(out, &best[0].index, sizeof(uint32_t));
		else
			memcpy(out, best, release_bytes(rule, tensors, count));
	}
}

// SPDX-License-Identifier: Apache-2.0
#include "release.h"

#include <math.h>
#include <string.h>

#include "tflite.h"

static const char *const names[] = {
	[RELEASE_SCORES] = "scores",
	[RELEASE_TOPK] = "topk",
	[RELEASE_TOP1] = "top1",
	[RELEASE_LABEL] = "label",
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

bool release_ranks(int type)
{
	return type == TFLITE_FLOAT32 || type == TFLITE_INT8 || type == TFLITE_UINT8 || type == TFLITE_INT32;
}

/* A score as it stands in the tensor; all supported types are exact in a double. */
static double raw(const struct scores *scores, uint32_t index)
{
	const uint8_t *data = scores->data;
	float real;
	int32_t whole;

	switch (scores->type) {
	case TFLITE_FLOAT32:
		memcpy(&real, data + (size_t)index * sizeof(real), sizeof(real));
		return (double)real;
	case TFLITE_INT32:
		memcpy(&whole, data + (size_t)index * sizeof(whole), sizeof(whole));
		return whole;
	case TFLITE_INT8:
		return (int8_t)data[index];
	default:
		return data[index];
	}
}

/* Quantization is affine with a positive scale, so the order of raw scores is that of the real ones. */
static float real_value(const struct scores *scores, double value)
{
	if (scores->type == TFLITE_FLOAT32 || scores->scale == 0.0f)
		return (float)value;
	return (float)((double)scores->scale * (value - scores->zero_point));
}

static bool better(double one, double other)
{
	return one > other || (isnan(other) && !isnan(one));
}

void rank(const struct scores *scores, uint32_t top, struct ranked *best)
{
	double values[RELEASE_TOP_MAX];
	uint32_t have = 0;

	for (uint32_t i = 0; i < scores->count; i++) {
		double value = raw(scores, i);
		uint32_t at = have;

		while (at > 0 && better(value, values[at - 1]))
			at--;
		if (at == top)
			continue;
		if (have < top)
			have++;
		memmove(&values[at + 1], &values[at], (have - at - 1) * sizeof(values[0]));
		memmove(&best[at + 1], &best[at], (have - at - 1) * sizeof(best[0]));
		values[at] = value;
		best[at] = (struct ranked){ .index = i, .score = real_value(scores, value) };
	}
}

size_t release_bytes(const struct release_rule *rule, size_t tensor_bytes)
{
	switch (rule->kind) {
	case RELEASE_SCORES:
		return tensor_bytes;
	case RELEASE_TOPK:
		return rule->top * sizeof(struct ranked);
	case RELEASE_TOP1:
		return sizeof(struct ranked);
	default:
		return sizeof(uint32_t);
	}
}

void release(const struct release_rule *rule, const struct scores *scores, size_t tensor_bytes, void *out)
{
	struct ranked best[RELEASE_TOP_MAX];

	if (rule->kind == RELEASE_SCORES) {
		memcpy(out, scores->data, tensor_bytes);
		return;
	}
	rank(scores, rule->kind == RELEASE_TOPK ? rule->top : 1, best);
	if (rule->kind == RELEASE_LABEL)
		memcpy(out, &best[0].index, sizeof(uint32_t));
	else
		memcpy(out, best, release_bytes(rule, tensor_bytes));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What leaves: the privacy setting of a run, and the only code that turns scores into something that is written.
 */
#ifndef RUNNER_RELEASE_H
#define RUNNER_RELEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELEASE_TOP_MAX 100

enum release { RELEASE_SCORES, RELEASE_TOPK, RELEASE_TOP1, RELEASE_LABEL };

/* One class and its score, the real value that a quantized score stands for. */
struct ranked {
	uint32_t index;
	float score;
};

/* A tensor of scores; `type` as in tflite.h. `count` is right for types that can be ranked. */
struct scores {
	int type;
	float scale;
	int32_t zero_point;
	uint32_t count;
	const void *data;
};

struct release_rule {
	enum release kind;
	uint32_t top;           /* for RELEASE_TOPK */
};

bool release_parse(const char *name, enum release *kind);
const char *release_name(enum release kind);
/* Whether scores of this type can be put in order. */
bool release_ranks(int type);
/* Bytes that `release` writes for one inference whose tensor has `tensor_bytes`. */
size_t release_bytes(const struct release_rule *rule, size_t tensor_bytes);
/* Write what the rule lets out, and nothing else: the tensor, struct ranked (the best first), or a 32-bit index. */
void release(const struct release_rule *rule, const struct scores *scores, size_t tensor_bytes, void *out);
/* The `top` highest scores, the best first; of equal ones the lower index. What is no number comes last. */
void rank(const struct scores *scores, uint32_t top, struct ranked *best);

#endif

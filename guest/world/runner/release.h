/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What leaves: the privacy setting of a run, and the only code that turns tensors into something that is written.
 */
#ifndef RUNNER_RELEASE_H
#define RUNNER_RELEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELEASE_TOP_MAX 100
#define RELEASE_DIMS_MAX 64
#define BOX 4           /* numbers of a detection's box that leave */

enum release {
	RELEASE_SCORES,
	RELEASE_TOPK,
	RELEASE_TOP1,
	RELEASE_LABEL,
	RELEASE_RAW,
	RELEASE_KEYPOINTS,
	RELEASE_DETECTIONS,
};

/* Which tensor is which, for detections; all other settings but RELEASE_RAW read one, the first. */
enum role { ROLE_BOXES, ROLE_SCORES, ROLE_CLASSES, ROLE_COUNT, ROLES };

/* One class and its score, the real value that a quantized score stands for. */
struct ranked {
	uint32_t index;
	float score;
};

/* One detection: its place in the tensor of boxes, its class, and real values. NO_DETECTION: fewer were found. */
struct detection {
	uint32_t index;
	int32_t class;
	float score;
	float box[BOX];
};

#define NO_DETECTION UINT32_MAX

/*
 * A tensor; `type` as in tflite.h, `last` and `longest` of its dimensions. `count` is right for types that can be ranked.
 */
struct scores {
	int type;
	float scale;
	int32_t zero_point;
	uint32_t count;
	uint32_t last;
	uint32_t longest;
	size_t bytes;
	const void *data;
};

struct release_rule {
	enum release kind;
	uint32_t top;           /* for RELEASE_TOPK and RELEASE_DETECTIONS */
	uint32_t dims;          /* numbers of a point, for RELEASE_KEYPOINTS */
	float min_score;        /* of a detection */
};

bool release_parse(const char *name, enum release *kind);
const char *release_name(enum release kind);
/* As the library calls a type. */
const char *release_type(int type);
/* Whether what leaves are classes, which can have names. */
bool release_names_classes(enum release kind);
/* Whether numbers of this type can be put in order. */
bool release_ranks(int type);
/* Bytes of one number of a type that can be ranked; 1 for others. */
size_t release_width(int type);
/* Whether these tensors are what the rule reads; else false with the reason in `what` (`size` bytes). */
bool release_fits(const struct release_rule *rule, const struct scores *tensors, char *what, size_t size);
/* Bytes that `release` writes for one inference. */
size_t release_bytes(const struct release_rule *rule, const struct scores *tensors, uint32_t count);
/*
 * Write what the rule lets out, and nothing else: the tensors, struct ranked or struct detection (the best first),
 * 32-bit floats, or a 32-bit index.
 */
void release(const struct release_rule *rule, const struct scores *tensors, uint32_t count, void *out);
/* The `top` highest scores, the best first; of equal ones the lower index. What is no number comes last. */
void rank(const struct scores *scores, uint32_t top, struct ranked *best);

#endif

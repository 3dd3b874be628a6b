/* SPDX-License-Identifier: Apache-2.0 */
/* A model made ready for inference. There is one in a process and it lives as long as that: nothing is freed. */
#ifndef RUNNER_MODEL_H
#define RUNNER_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "release.h"
#include "tflite.h"

#define WHY_BYTES 256

struct model {
	TfLiteInterpreter *interpreter;
	int32_t inputs;
	size_t input_bytes;     /* of all input tensors together: one record of the file of inputs */
	int nodes;              /* operators of all subgraphs after delegation, and ... */
	int delegated;          /* ... those of them that are XNNPACK's, each standing for many */
};

/* Map the file, check it, create the interpreter and allocate. False with one line in `why` (WHY_BYTES). */
bool model_load(struct model *model, const char *path, uint32_t threads, char *why);
/* {"inputs":[...],"outputs":[...]} */
void model_describe(const struct model *model, struct buffer *out);
/* The scores of the first output tensor as they are now; `data` is read where the interpreter keeps it. */
struct scores model_scores(const struct model *model, size_t *bytes);
void *model_input(const struct model *model, int32_t index, size_t *bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A model made ready for inference. There is one in a process and it lives as long as that: nothing is freed. */
#ifndef RUNNER_MODEL_H
#define RUNNER_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "ports.h"
#include "tflite.h"

#define WHY_BYTES 512

struct model {
	struct ports ports;
	size_t input_bytes;             /* of all input tensors together: one record of the file of inputs */
	int nodes;                      /* operators of all subgraphs after delegation, and ... */
	int delegated;                  /* ... those of them that are XNNPACK's, each standing for many */
	char without[WHY_BYTES];        /* why XNNPACK is not used, if it could not prepare the model */
};

/*
 * Map the file, check it, create the interpreter and allocate. What XNNPACK cannot prepare is loaded without it.
 * `signature` as in ports_open. False with one line in `why` (WHY_BYTES).
 */
bool model_load(struct model *model, const char *path, const char *signature, uint32_t threads, char *why);
/* {"signature":...,"inputs":[...],"outputs":[...],"nodes":...,"xnnpack":...} */
void model_describe(const struct model *model, struct buffer *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inputs and outputs of a model by their names: those of a signature, in the order of their bytes, or of a model without
 * one the tensors' own, in the order of the file.
 */
#ifndef RUNNER_PORTS_H
#define RUNNER_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "release.h"
#include "tflite.h"

struct port {
	const char *name;               /* unique among inputs, and among outputs */
	const TfLiteTensor *tensor;
	size_t bytes;
};

struct ports {
	TfLiteInterpreter *interpreter;
	TfLiteSignatureRunner *signature;       /* NULL: the model has none */
	const char *key;                        /* of the signature */
	uint32_t inputs;
	uint32_t outputs;
	struct port *input;
	struct port *output;
};

/*
 * The ports of the signature called `key`: if NULL of `serving_default`, where there is one, or else of the first by its
 * bytes. Tensors are allocated here. False with the reason in `what` (`size` bytes).
 */
bool ports_open(struct ports *ports, TfLiteInterpreter *interpreter, const char *key, char *what, size_t size);
/* Look up sizes; false if a tensor has no fixed size, or is none of numbers. */
bool ports_measure(struct ports *ports, char *what, size_t size);
/* One inference; TFLITE_OK or not. */
int ports_invoke(const struct ports *ports);
/* An output's place, or -1 if there is none of that name. */
int ports_find(const struct ports *ports, const char *name);
/* An output as it is now; `data` is read where the interpreter keeps it. */
struct scores ports_view(const struct port *port);
/* {"signature":...,"signatures":[...],"inputs":[...],"outputs":[...]; without the closing brace */
void ports_describe(const struct ports *ports, struct buffer *out);
/* The names of the outputs, a JSON array. */
void ports_names(const struct ports *ports, struct buffer *out);

#endif

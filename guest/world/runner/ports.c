// SPDX-License-Identifier: Apache-2.0
#include "ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_KEY "serving_default"
#define NAME_BYTES 512

/* The key that is asked for, or the usual one, or the first by its bytes; NULL if the model has none of that name. */
static const char *choose_key(TfLiteInterpreter *interpreter, const char *key)
{
	const int32_t count = TfLiteInterpreterGetSignatureCount(interpreter);
	const char *wanted = key ? key : USUAL_KEY, *first = NULL;

	for (int32_t i = 0; i < count; i++) {
		const char *found = TfLiteInterpreterGetSignatureKey(interpreter, i);

		if (found && !strcmp(found, wanted))
			return found;
		if (found && (!first || strcmp(found, first) < 0))
			first = found;
	}
	return key ? NULL : first;
}

static const TfLiteTensor *tensor_of(const struct ports *ports, bool input, int32_t index)
{
	if (!ports->signature)
		return input ? TfLiteInterpreterGetInputTensor(ports->interpreter, index) :
			       TfLiteInterpreterGetOutputTensor(ports->interpreter, index);
	return input ? TfLiteSignatureRunnerGetInputTensor(
			       ports->signature, TfLiteSignatureRunnerGetInputName(ports->signature, index)) :
		       TfLiteSignatureRunnerGetOutputTensor(
			       ports->signature, TfLiteSignatureRunnerGetOutputName(ports->signature, index));
}

static bool taken(const struct port *ports, uint32_t count, const char *name)
{
	for (uint32_t i = 0; i < count; i++)
		if (!strcmp(ports[i].name, name))
			return true;
	return false;
}

/* A tensor without a name, or with one that an earlier has, is told by its number as well. */
static const char *name_of(const struct ports *ports, const struct port *before, bool input, uint32_t index)
{
	const char *name;
	char numbered[NAME_BYTES];

	if (ports->signature)
		return input ? TfLiteSignatureRunnerGetInputName(ports->signature, (int32_t)index) :
			       TfLiteSignatureRunnerGetOutputName(ports->signature, (int32_t)index);
	name = before[index].tensor ? TfLiteTensorName(before[index].tensor) : NULL;
	if (name && *name && !taken(before, index, name))
		return name;
	snprintf(numbered, sizeof(numbered), "%.480s:%u", name ? name : "", index);
	return strdup(numbered);
}

static struct port *list(const struct ports *ports, bool input, uint32_t count)
{
	struct port *found = calloc(count ? count : 1, sizeof(*found));

	for (uint32_t i = 0; found && i < count; i++) {
		found[i].tensor = tensor_of(ports, input, (int32_t)i);
		found[i].name = name_of(ports, found, input, i);
		if (!found[i].name)
			return NULL;
	}
	return found;
}

static int allocate(const struct ports *ports)
{
	return ports->signature ? TfLiteSignatureRunnerAllocateTensors(ports->signature) :
				  TfLiteInterpreterAllocateTensors(ports->interpreter);
}

bool ports_open(struct ports *ports, TfLiteInterpreter *interpreter, const char *key, char *what, size_t size)
{
	const char *found = choose_key(interpreter, key);

	*ports = (struct ports){ .interpreter = interpreter, .key = found };
	if (key && !found)
		return snprintf(what, size, "has no signature '%.60s'", key) < 0;
	if (found) {
		ports->signature = TfLiteInterpreterGetSignatureRunner(interpreter, found);
		if (!ports->signature)
			return snprintf(what, size, "its signature '%.60s' cannot be used", found) < 0;
	}
	if (allocate(ports) != TFLITE_OK)
		return snprintf(what, size, "its tensors cannot be allocated") < 0;
	ports->inputs = found ? (uint32_t)TfLiteSignatureRunnerGetInputCount(ports->signature) :
				(uint32_t)TfLiteInterpreterGetInputTensorCount(interpreter);
	ports->outputs = found ? (uint32_t)TfLiteSignatureRunnerGetOutputCount(ports->signature) :
				 (uint32_t)TfLiteInterpreterGetOutputTensorCount(interpreter);
	ports->input = list(ports, true, ports->inputs);
	ports->output = list(ports, false, ports->outputs);
	if (!ports->input || !ports->output)
		return snprintf(what, size, "no memory for the names of its tensors") < 0;
	return true;
}

static bool measure(struct port *port, const char *kind, char *what, size_t size)
{
	const int type = port->tensor ? TfLiteTensorType(port->tensor) : 0;

	port->bytes = port->tensor ? TfLiteTensorByteSize(port->tensor) : 0;
	if (release_width(type) == 1 && !release_ranks(type))
		return snprintf(what, size, "%s '%.60s' is of type %s, which cannot be fed or read", kind, port->name,
				release_type(type)) < 0;
	if (port->bytes == 0 || !TfLiteTensorData(port->tensor))
		return snprintf(what, size, "%s '%.80s' has no fixed size", kind, port->name) < 0;
	return true;
}

bool ports_measure(struct ports *ports, char *what, size_t size)
{
	if (ports->inputs < 1 || ports->outputs < 1)
		return snprintf(what, size, "has no input or no output") < 0;
	for (uint32_t i = 0; i < ports->inputs; i++)
		if (!measure(&ports->input[i], "input", what, size))
			return false;
	for (uint32_t i = 0; i < ports->outputs; i++)
		if (!measure(&ports->output[i], "output", what, size))
			return false;
	return true;
}

int ports_invoke(const struct ports *ports)
{
	return ports->signature ? TfLiteSignatureRunnerInvoke(ports->signature) :
				  TfLiteInterpreterInvoke(ports->interpreter);
}

int ports_find(const struct ports *ports, const char *name)
{
	for (uint32_t i = 0; i < ports->outputs; i++)
		if (!strcmp(ports->output[i].name, name))
			return (int)i;
	return -1;
}

/* Counted by what lies there and not by the shape, so that a strange shape leads nobody behind the tensor's end. */
struct scores ports_view(const struct port *port)
{
	const TfLiteQuantizationParams quantization = TfLiteTensorQuantizationParams(port->tensor);
	const int type = TfLiteTensorType(port->tensor);
	const int32_t dims = TfLiteTensorNumDims(port->tensor);
	struct scores view = {
		.type = type,
		.scale = quantization.scale,
		.zero_point = quantization.zero_point,
		.bytes = TfLiteTensorByteSize(port->tensor),
		.last = 1,
		.longest = 1,
		.data = TfLiteTensorData(port->tensor),
	};

	view.count = (uint32_t)(view.bytes / release_width(type));
	for (int32_t i = 0; i < dims; i++) {
		view.last = (uint32_t)TfLiteTensorDim(port->tensor, i);
		if (view.last > view.longest)
			view.longest = view.last;
	}
	return view;
}

static void describe_port(const struct port *port, struct buffer *out)
{
	const TfLiteQuantizationParams quantization = TfLiteTensorQuantizationParams(port->tensor);

	put(out, "{\"name\":");
	put_string(out, port->name);
	put(out, ",\"type\":");
	put_string(out, TfLiteTypeGetName(TfLiteTensorType(port->tensor)));
	put(out, ",\"shape\":[");
	for (int32_t i = 0; i < TfLiteTensorNumDims(port->tensor); i++)
		put(out, "%s%d", i ? "," : "", TfLiteTensorDim(port->tensor, i));
	put(out, "],\"bytes\":%zu,\"scale\":", port->bytes);
	put_float(out, quantization.scale);
	put(out, ",\"zero_point\":%d}", quantization.zero_point);
}

static void describe_all(const struct port *ports, uint32_t count, struct buffer *out)
{
	put(out, "[");
	for (uint32_t i = 0; i < count; i++) {
		put(out, "%s", i ? "," : "");
		describe_port(&ports[i], out);
	}
	put(out, "]");
}

void ports_describe(const struct ports *ports, struct buffer *out)
{
	const int32_t signatures = TfLiteInterpreterGetSignatureCount(ports->interpreter);

	put(out, "{\"signature\":");
	if (ports->key)
		put_string(out, ports->key);
	else
		put(out, "null");
	put(out, ",\"signatures\":[");
	for (int32_t i = 0; i < signatures; i++) {
		put(out, "%s", i ? "," : "");
		put_string(out, TfLiteInterpreterGetSignatureKey(ports->interpreter, i));
	}
	put(out, "],\"inputs\":");
	describe_all(ports->input, ports->inputs, out);
	put(out, ",\"outputs\":");
	describe_all(ports->output, ports->outputs, out);
}

void ports_names(const struct ports *ports, struct buffer *out)
{
	put(out, "[");
	for (uint32_t i = 0; i < ports->outputs; i++) {
		put(out, "%s", i ? "," : "");
		put_string(out, ports->output[i].name);
	}
	put(out, "]");
}

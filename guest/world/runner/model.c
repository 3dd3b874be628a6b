// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XNNPACK_NODE "TfLiteXNNPackDelegate"

/* The library's first complaint says most; it becomes one line. */
static void keep_first(void *user_data, const char *format, va_list args)
{
	char *why = user_data;

	if (*why)
		return;
	vsnprintf(why, WHY_BYTES, format, args);
	for (char *at = why; *at; at++)
		if (*at == '\n' || *at == '\r')
			*at = ' ';
	for (size_t end = strlen(why); end > 0 && why[end - 1] == ' '; end--)
		why[end - 1] = '\0';
}

static bool fail(char *why, const char *what, const char *path)
{
	char library[WHY_BYTES];

	memcpy(library, why, sizeof(library));
	snprintf(why, WHY_BYTES, "%.80s: %.60s%s%.100s", path, what, *library ? ": " : "", library);
	return false;
}

static void *map_file(const char *path, size_t *size, char *why)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	void *data = MAP_FAILED;

	if (file < 0 || fstat(file, &status)) {
		fail(why, strerror(errno), path);
	} else if (!S_ISREG(status.st_mode) || status.st_size == 0) {
		fail(why, S_ISREG(status.st_mode) ? "is empty" : "is not a file", path);
	} else {
		*size = (size_t)status.st_size;
		data = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, file, 0);
		if (data == MAP_FAILED)
			fail(why, strerror(errno), path);
	}
	if (file >= 0)
		close(file);
	return data == MAP_FAILED ? NULL : data;
}

/*
 * A delegate that takes nothing. It is asked, for each subgraph, after XNNPACK has taken its nodes, and so sees what has
 * become of the graph: the one way in this API to know that XNNPACK is really used.
 */
static int look(TfLiteOpaqueContext *context, TfLiteDelegate *delegate, void *data)
{
	struct model *model = data;
	TfLiteIntArray *plan;

	(void)delegate;
	if (TfLiteOpaqueContextGetExecutionPlan(context, &plan) != TFLITE_OK)
		return TFLITE_OK;
	model->nodes += plan->size;
	for (int i = 0; i < plan->size; i++) {
		TfLiteOpaqueNode *node;
		TfLiteOperator *op;
		const char *name;

		if (TfLiteOpaqueContextGetNodeAndRegistration(context, plan->data[i], &node, &op) != TFLITE_OK || !op)
			continue;
		name = TfLiteOperatorGetCustomName(op);
		if (name && !strcmp(name, XNNPACK_NODE))
			model->delegated++;
	}
	return TFLITE_OK;
}

/* XNNPACK cannot be made where /sys is not mounted: the library's own kernels work then, `delegated` says so. */
static void add_delegates(TfLiteInterpreterOptions *options, struct model *model, uint32_t threads)
{
	const TfLiteOpaqueDelegateBuilder builder = {
		.data = model,
		.prepare = look,
		.flags = TFLITE_DELEGATE_ALLOWS_DYNAMIC_TENSORS,
	};
	TfLiteXNNPackDelegateOptions xnnpack = TfLiteXNNPackDelegateOptionsDefault();
	TfLiteDelegate *delegate;

	xnnpack.num_threads = (int32_t)threads;
	delegate = TfLiteXNNPackDelegateCreate(&xnnpack);
	if (delegate)
		TfLiteInterpreterOptionsAddDelegate(options, delegate);
	delegate = TfLiteOpaqueDelegateCreate(&builder);
	if (delegate)
		TfLiteInterpreterOptionsAddDelegate(options, delegate);
}

static bool check_tensors(struct model *model, const char *path, char *why)
{
	size_t bytes;

	model->inputs = TfLiteInterpreterGetInputTensorCount(model->interpreter);
	if (model->inputs < 1 || TfLiteInterpreterGetOutputTensorCount(model->interpreter) < 1)
		return fail(why, "has no input or no output", path);
	for (int32_t i = 0; i < model->inputs; i++) {
		if (!model_input(model, i, &bytes) || bytes == 0)
			return fail(why, "an input has no fixed size", path);
		model->input_bytes += bytes;
	}
	if (!model_scores(model, &bytes).data || bytes == 0)
		return fail(why, "the output has no fixed size", path);
	return true;
}

bool model_load(struct model *model, const char *path, uint32_t threads, char *why)
{
	TfLiteInterpreterOptions *options;
	TfLiteModel *file;
	size_t size;
	void *data;

	*model = (struct model){ 0 };
	*why = '\0';
	data = map_file(path, &size, why);
	if (!data)
		return false;
	file = TfLiteModelCreateWithErrorReporter(data, size, keep_first, why);
	if (!file)
		return fail(why, "is no TFLite model", path);
	options = TfLiteInterpreterOptionsCreate();
	TfLiteInterpreterOptionsSetErrorReporter(options, keep_first, why);
	TfLiteInterpreterOptionsSetNumThreads(options, (int32_t)threads);
	add_delegates(options, model, threads);
	model->interpreter = TfLiteInterpreterCreate(file, options);
	if (!model->interpreter)
		return fail(why, "cannot be interpreted", path);
	if (TfLiteInterpreterAllocateTensors(model->interpreter) != TFLITE_OK)
		return fail(why, "its tensors cannot be allocated", path);
	return check_tensors(model, path, why);
}

void *model_input(const struct model *model, int32_t index, size_t *bytes)
{
	const TfLiteTensor *tensor = TfLiteInterpreterGetInputTensor(model->interpreter, index);

	*bytes = tensor ? TfLiteTensorByteSize(tensor) : 0;
	return tensor ? TfLiteTensorData(tensor) : NULL;
}

/* Counted by what lies there and not by the shape, so that a strange shape leads nobody behind the tensor's end. */
static uint32_t elements(int type, size_t bytes)
{
	const size_t width = type == TFLITE_FLOAT32 || type == TFLITE_INT32 ? 4 : 1;

	return (uint32_t)(bytes / width);
}

struct scores model_scores(const struct model *model, size_t *bytes)
{
	const TfLiteTensor *tensor = TfLiteInterpreterGetOutputTensor(model->interpreter, 0);
	TfLiteQuantizationParams quantization;
	int type;

	*bytes = tensor ? TfLiteTensorByteSize(tensor) : 0;
	if (!tensor)
		return (struct scores){ 0 };
	quantization = TfLiteTensorQuantizationParams(tensor);
	type = TfLiteTensorType(tensor);
	return (struct scores){
		.type = type,
		.scale = quantization.scale,
		.zero_point = quantization.zero_point,
		.count = elements(type, *bytes),
		.data = TfLiteTensorData(tensor),
	};
}

static void describe_tensor(const TfLiteTensor *tensor, struct buffer *out)
{
	const TfLiteQuantizationParams quantization = TfLiteTensorQuantizationParams(tensor);
	const char *name = TfLiteTensorName(tensor);

	put(out, "{\"name\":");
	put_string(out, name ? name : "");
	put(out, ",\"type\":");
	put_string(out, TfLiteTypeGetName(TfLiteTensorType(tensor)));
	put(out, ",\"shape\":[");
	for (int32_t i = 0; i < TfLiteTensorNumDims(tensor); i++)
		put(out, "%s%d", i ? "," : "", TfLiteTensorDim(tensor, i));
	put(out, "],\"bytes\":%zu,\"scale\":", TfLiteTensorByteSize(tensor));
	put_float(out, quantization.scale);
	put(out, ",\"zero_point\":%d}", quantization.zero_point);
}

void model_describe(const struct model *model, struct buffer *out)
{
	const int32_t outputs = TfLiteInterpreterGetOutputTensorCount(model->interpreter);

	put(out, "{\"inputs\":[");
	for (int32_t i = 0; i < model->inputs; i++) {
		put(out, "%s", i ? "," : "");
		describe_tensor(TfLiteInterpreterGetInputTensor(model->interpreter, i), out);
	}
	put(out, "],\"outputs\":[");
	for (int32_t i = 0; i < outputs; i++) {
		put(out, "%s", i ? "," : "");
		describe_tensor(TfLiteInterpreterGetOutputTensor(model->interpreter, i), out);
	}
	put(out, "]}\n");
}

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

/* What we say of it, and behind that what the library said first. */
static bool fail(char *why, const char *what)
{
	char library[WHY_BYTES];

	memcpy(library, why, sizeof(library));
	snprintf(why, WHY_BYTES, "%.160s%s%.200s", what, *library ? ": " : "", library);
	return false;
}

/* The file comes first in the line. */
static bool name_file(char *why, const char *path)
{
	char said[WHY_BYTES];

	memcpy(said, why, sizeof(said));
	snprintf(why, WHY_BYTES, "%.120s: %.380s", path, said);
	return false;
}

static void *map_file(const char *path, size_t *size, char *why)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	void *data = MAP_FAILED;

	if (file < 0 || fstat(file, &status)) {
		fail(why, strerror(errno));
	} else if (!S_ISREG(status.st_mode) || status.st_size == 0) {
		fail(why, S_ISREG(status.st_mode) ? "is empty" : "is not a file");
	} else {
		*size = (size_t)status.st_size;
		data = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, file, 0);
		if (data == MAP_FAILED)
			fail(why, strerror(errno));
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
static TfLiteDelegate *add_delegates(TfLiteInterpreterOptions *options, struct model *model, uint32_t threads)
{
	const TfLiteOpaqueDelegateBuilder builder = {
		.data = model,
		.prepare = look,
		.flags = TFLITE_DELEGATE_ALLOWS_DYNAMIC_TENSORS,
	};
	TfLiteXNNPackDelegateOptions choice = TfLiteXNNPackDelegateOptionsDefault();
	TfLiteDelegate *xnnpack, *looking;

	choice.num_threads = (int32_t)threads;
	xnnpack = TfLiteXNNPackDelegateCreate(&choice);
	if (xnnpack)
		TfLiteInterpreterOptionsAddDelegate(options, xnnpack);
	looking = TfLiteOpaqueDelegateCreate(&builder);
	if (looking)
		TfLiteInterpreterOptionsAddDelegate(options, looking);
	return xnnpack;
}

/* One try, with XNNPACK or without. */
static bool prepare(struct model *model, const TfLiteModel *file, const char *signature, uint32_t threads,
		    bool with_xnnpack, char *why)
{
	TfLiteInterpreterOptions *options = TfLiteInterpreterOptionsCreate();
	TfLiteInterpreter *interpreter;
	char what[120];

	*model = (struct model){ 0 };
	*why = '\0';
	TfLiteInterpreterOptionsSetErrorReporter(options, keep_first, why);
	TfLiteInterpreterOptionsSetNumThreads(options, (int32_t)threads);
	if (with_xnnpack && !add_delegates(options, model, threads))
		snprintf(model->without, sizeof(model->without), "XNNPACK cannot be made here");
	interpreter = TfLiteInterpreterCreate(file, options);
	if (!interpreter)
		return fail(why, "cannot be interpreted");
	if (!ports_open(&model->ports, interpreter, signature, what, sizeof(what)))
		return fail(why, what);
	*why = '\0';     /* complaints of what went well in the end */
	return true;
}

static bool check_tensors(struct model *model, char *why)
{
	char what[160];

	if (!ports_measure(&model->ports, what, sizeof(what)))
		return fail(why, what);
	for (uint32_t i = 0; i < model->ports.inputs; i++)
		model->input_bytes += model->ports.input[i].bytes;
	return true;
}

bool model_load(struct model *model, const char *path, const char *signature, uint32_t threads, char *why)
{
	char first[WHY_BYTES];
	TfLiteModel *file;
	size_t size;
	void *data;

	*why = '\0';
	data = map_file(path, &size, why);
	if (!data)
		return name_file(why, path);
	file = TfLiteModelCreateWithErrorReporter(data, size, keep_first, why);
	if (!file) {
		fail(why, "is no TFLite model");
		return name_file(why, path);
	}
	if (!prepare(model, file, signature, threads, true, why)) {
		memcpy(first, why, sizeof(first));
		if (!prepare(model, file, signature, threads, false, why))
			return name_file(why, path);
		memcpy(model->without, first, sizeof(model->without));
	}
	return check_tensors(model, why) || name_file(why, path);
}

void model_describe(const struct model *model, struct buffer *out)
{
	ports_describe(&model->ports, out);
	put(out, ",\"nodes\":%d,\"delegated\":%d,\"xnnpack\":%s,\"without\":", model->nodes, model->delegated,
	    model->delegated > 0 ? "true" : "false");
	if (*model->without)
		put_string(out, model->without);
	else
		put(out, "null");
	put(out, "}\n");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runner uses of the TensorFlow Lite C API: names, argument types and numbers as the library's ABI has them
 * (libLiteRtRuntimeCApi.so of ai-edge-litert 1.4.0). All structures but the small ones below are opaque.
 */
#ifndef RUNNER_TFLITE_H
#define RUNNER_TFLITE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define TFLITE_OK 0

enum {
	TFLITE_FLOAT32 = 1,
	TFLITE_INT32 = 2,
	TFLITE_UINT8 = 3,
	TFLITE_INT64 = 4,
	TFLITE_BOOL = 6,
	TFLITE_INT16 = 7,
	TFLITE_INT8 = 9,
	TFLITE_FLOAT16 = 10,
	TFLITE_FLOAT64 = 11,
	TFLITE_UINT64 = 13,
	TFLITE_UINT32 = 16,
	TFLITE_UINT16 = 17,
};

typedef struct TfLiteModel TfLiteModel;
typedef struct TfLiteInterpreter TfLiteInterpreter;
typedef struct TfLiteInterpreterOptions TfLiteInterpreterOptions;
typedef struct TfLiteSignatureRunner TfLiteSignatureRunner;
typedef struct TfLiteTensor TfLiteTensor;
typedef struct TfLiteDelegate TfLiteDelegate;
typedef struct TfLiteOpaqueContext TfLiteOpaqueContext;
typedef struct TfLiteOpaqueNode TfLiteOpaqueNode;
typedef struct TfLiteOperator TfLiteOperator;

typedef struct {
	float scale;
	int32_t zero_point;
} TfLiteQuantizationParams;

typedef struct {
	int size;
	int data[];
} TfLiteIntArray;

typedef void tflite_reporter(void *user_data, const char *format, va_list args);

/* Returned through a hidden pointer, so it only has to be large enough: releases add members at the end. */
typedef struct {
	int32_t num_threads;
	uint8_t others[508];
} TfLiteXNNPackDelegateOptions;

typedef struct {
	void *data;
	int (*prepare)(TfLiteOpaqueContext *context, TfLiteDelegate *delegate, void *data);
	void *copy_from_buffer_handle;
	void *copy_to_buffer_handle;
	void *free_buffer_handle;
	int64_t flags;
} TfLiteOpaqueDelegateBuilder;

#define TFLITE_DELEGATE_ALLOWS_DYNAMIC_TENSORS 1

const char *TfLiteVersion(void);
const char *TfLiteTypeGetName(int type);

TfLiteModel *TfLiteModelCreateWithErrorReporter(const void *data, size_t size, tflite_reporter *reporter,
						void *user_data);

TfLiteInterpreterOptions *TfLiteInterpreterOptionsCreate(void);
void TfLiteInterpreterOptionsDelete(TfLiteInterpreterOptions *options);
void TfLiteInterpreterOptionsSetNumThreads(TfLiteInterpreterOptions *options, int32_t threads);
void TfLiteInterpreterOptionsSetErrorReporter(TfLiteInterpreterOptions *options, tflite_reporter *reporter,
					      void *user_data);
void TfLiteInterpreterOptionsAddDelegate(TfLiteInterpreterOptions *options, TfLiteDelegate *delegate);

TfLiteInterpreter *TfLiteInterpreterCreate(const TfLiteModel *model, const TfLiteInterpreterOptions *options);
void TfLiteInterpreterDelete(TfLiteInterpreter *interpreter);
int TfLiteInterpreterAllocateTensors(TfLiteInterpreter *interpreter);
int TfLiteInterpreterInvoke(TfLiteInterpreter *interpreter);
int32_t TfLiteInterpreterGetInputTensorCount(const TfLiteInterpreter *interpreter);
int32_t TfLiteInterpreterGetOutputTensorCount(const TfLiteInterpreter *interpreter);
TfLiteTensor *TfLiteInterpreterGetInputTensor(const TfLiteInterpreter *interpreter, int32_t index);
const TfLiteTensor *TfLiteInterpreterGetOutputTensor(const TfLiteInterpreter *interpreter, int32_t index);

int32_t TfLiteInterpreterGetSignatureCount(const TfLiteInterpreter *interpreter);
const char *TfLiteInterpreterGetSignatureKey(const TfLiteInterpreter *interpreter, int32_t index);
TfLiteSignatureRunner *TfLiteInterpreterGetSignatureRunner(const TfLiteInterpreter *interpreter, const char *key);
size_t TfLiteSignatureRunnerGetInputCount(const TfLiteSignatureRunner *runner);
size_t TfLiteSignatureRunnerGetOutputCount(const TfLiteSignatureRunner *runner);
const char *TfLiteSignatureRunnerGetInputName(const TfLiteSignatureRunner *runner, int32_t index);
const char *TfLiteSignatureRunnerGetOutputName(const TfLiteSignatureRunner *runner, int32_t index);
TfLiteTensor *TfLiteSignatureRunnerGetInputTensor(TfLiteSignatureRunner *runner, const char *name);
const TfLiteTensor *TfLiteSignatureRunnerGetOutputTensor(const TfLiteSignatureRunner *runner, const char *name);
int TfLiteSignatureRunnerAllocateTensors(TfLiteSignatureRunner *runner);
int TfLiteSignatureRunnerInvoke(TfLiteSignatureRunner *runner);

int TfLiteTensorType(const TfLiteTensor *tensor);
int32_t TfLiteTensorNumDims(const TfLiteTensor *tensor);
int32_t TfLiteTensorDim(const TfLiteTensor *tensor, int32_t index);
size_t TfLiteTensorByteSize(const TfLiteTensor *tensor);
void *TfLiteTensorData(const TfLiteTensor *tensor);
const char *TfLiteTensorName(const TfLiteTensor *tensor);
TfLiteQuantizationParams TfLiteTensorQuantizationParams(const TfLiteTensor *tensor);

TfLiteXNNPackDelegateOptions TfLiteXNNPackDelegateOptionsDefault(void);
TfLiteDelegate *TfLiteXNNPackDelegateCreate(const TfLiteXNNPackDelegateOptions *options);
void TfLiteXNNPackDelegateDelete(TfLiteDelegate *delegate);

TfLiteDelegate *TfLiteOpaqueDelegateCreate(const TfLiteOpaqueDelegateBuilder *builder);
int TfLiteOpaqueContextGetExecutionPlan(TfLiteOpaqueContext *context, TfLiteIntArray **plan);
int TfLiteOpaqueContextGetNodeAndRegistration(TfLiteOpaqueContext *context, int node, TfLiteOpaqueNode **found,
					      TfLiteOperator **op);
const char *TfLiteOperatorGetCustomName(const TfLiteOperator *op);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The measured part of a run. */
#ifndef RUNNER_WORKER_H
#define RUNNER_WORKER_H

#include "labels.h"
#include "options.h"
#include "record.h"

/* Calibrate, load, and run all iterations; returns the exit status, the reason for another than 0 in the record. */
int work(const struct options *options, const struct labels *labels, int outputs, struct record *record);

#endif

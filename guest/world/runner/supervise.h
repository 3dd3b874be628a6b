/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every model is read in a process of its own. A file may hold anything, and the library is not ours: whatever it does
 * to the worker, its supervisor is there to say what happened.
 */
#ifndef RUNNER_SUPERVISE_H
#define RUNNER_SUPERVISE_H

#include "record.h"

/* What the worker executes; returns the exit status. */
typedef int worker_fn(void *context, struct record *record);

/* Run the worker to its end; returns the exit status, the reason for another than 0 in the record. */
int supervise(worker_fn *worker, void *context, struct record *record, struct usage *usage);

#endif

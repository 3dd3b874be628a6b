/* SPDX-License-Identifier: Apache-2.0 */
/* The results of a run as lines of JSON. */
#ifndef RUNNER_REPORT_H
#define RUNNER_REPORT_H

#include <stdbool.h>

#include "labels.h"
#include "options.h"
#include "record.h"

/* Write all lines to an open file; false with errno. `status` and `why` are the outcome of the whole run. */
bool report_write(int file, const struct options *options, const struct labels *labels, const struct record *record,
		  const struct usage *usage, int status, const char *why);

#endif

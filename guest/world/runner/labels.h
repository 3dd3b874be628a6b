/* SPDX-License-Identifier: Apache-2.0 */
/* Names of classes, one a line. */
#ifndef RUNNER_LABELS_H
#define RUNNER_LABELS_H

#include <stdbool.h>
#include <stdint.h>

struct labels {
	uint32_t count;
	char **names;
};

/* Read a file of names; false with errno. Without a final newline the last line counts too. */
bool labels_read(const char *path, struct labels *labels);

#endif

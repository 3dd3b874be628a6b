// SPDX-License-Identifier: Apache-2.0
#include "labels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool add(struct labels *labels, const char *name)
{
	char **names = realloc(labels->names, (labels->count + 1) * sizeof(*names));

	if (!names)
		return false;
	labels->names = names;
	names[labels->count] = strdup(name);
	return names[labels->count++] != NULL;
}

bool labels_read(const char *path, struct labels *labels)
{
	FILE *stream = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	bool ok = true;

	*labels = (struct labels){ 0 };
	if (!stream)
		return false;
	while (ok && getline(&line, &size, stream) >= 0) {
		line[strcspn(line, "\r\n")] = '\0';
		ok = add(labels, line);
	}
	ok = ok && !ferror(stream);
	free(line);
	fclose(stream);
	if (ok && !labels->count) {
		errno = ENODATA;
		return false;
	}
	return ok;
}

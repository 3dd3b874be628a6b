// SPDX-License-Identifier: Apache-2.0
/* What all commands share: errors, files, and lines of JSON. */
#include "say.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void fail(const char *what)
{
	fail_with("%s: %s", what, strerror(errno));
}

void fail_with(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fputs("attack: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

void *allocate(size_t count, size_t bytes)
{
	void *memory = calloc(count, bytes);

	if (memory == NULL)
		fail("memory");
	return memory;
}

void say_bits(const char *name, const struct found *found, size_t count)
{
	size_t i;

	printf("\"%s\":\"", name);
	for (i = 0; i < (count + 7) / 8; i++)
		printf("%02x", found->bits[i]);
	putchar('"');
}

void say_region(const struct region *region, const struct found *found, size_t count)
{
	printf("{\"event\":\"region\",\"name\":\"%s\",\"pages\":%" PRIu64 ",\"zero\":%" PRIu64 ",\"faulted\":%" PRIu64
	       ",\"seconds\":%.3f,\"found\":%zu,",
	       region->name, region->pages, region->zero, region->faulted, region->seconds, found->count);
	say_bits("blocks", found, count);
	puts("}");
	fflush(stdout);
}

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

uint64_t number(const char *text)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno != 0 || end == text || (*end != '\0' && *end != '\n'))
		fail_with("'%s' is no number", text);
	return value;
}

uint8_t *read_file(const char *path, size_t *bytes)
{
	FILE *file = fopen(path, "rb");
	size_t room = 1 << 16, got = 0, count;
	uint8_t *data = malloc(room);

	if (file == NULL)
		fail(path);
	while (data != NULL && (count = fread(data + got, 1, room - got, file)) > 0) {
		got += count;
		if (got == room)
			data = realloc(data, room *= 2);
	}
	if (data == NULL || ferror(file))
		fail(path);
	fclose(file);
	*bytes = got;
	return data;
}

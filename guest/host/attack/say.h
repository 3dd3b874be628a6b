/* SPDX-License-Identifier: Apache-2.0 */
/* Words for the one who asked: a JSON object a line on standard output, or one line on standard error and exit code 1. */
#ifndef SAY_H
#define SAY_H

#include <stddef.h>
#include <stdint.h>

#include "needles.h"

/* End with "attack: WHAT: strerror(errno)", or "attack: TEXT". */
void fail(const char *what) __attribute__((noreturn));
void fail_with(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* calloc() that succeeds. */
void *allocate(size_t count, size_t bytes);

/* What a search of one region gave. Pages of 4096 bytes; `faulted` of them could not be read. */
struct region {
	const char *name;
	uint64_t pages;
	uint64_t zero;
	uint64_t faulted;
	double seconds;
};

void say_region(const struct region *region, const struct found *found, size_t count);

/* `name`: the blocks as hexadecimal digits, bit 0 of the first byte is block 0. */
void say_bits(const char *name, const struct found *found, size_t count);

double now(void);

/* The number that an argument or a line is, decimal or hexadecimal. Fails on anything else. */
uint64_t number(const char *text);

/* A whole file in memory; *bytes long. */
uint8_t *read_file(const char *path, size_t *bytes);

#endif

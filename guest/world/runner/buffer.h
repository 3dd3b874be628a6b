/* SPDX-License-Identifier: Apache-2.0 */
/* Text of limited length, and the few pieces of JSON that the runner writes. */
#ifndef RUNNER_BUFFER_H
#define RUNNER_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `length` goes on counting when `size` is reached, so that a text can be measured before it is written. */
struct buffer {
	char *text;
	size_t size;
	size_t length;
};

bool buffer_full(const struct buffer *buffer);
void put(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void put_bytes(struct buffer *buffer, const void *data, size_t size);
/* A JSON string; bytes that are not valid UTF-8 become U+FFFD. */
void put_string(struct buffer *buffer, const char *text);
/* A float so that it reads back as the same float; null if it is not finite, for which JSON has no word. */
void put_float(struct buffer *buffer, float value);
void put_hex(struct buffer *buffer, const uint8_t *data, size_t size);

#endif

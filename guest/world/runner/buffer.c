// SPDX-License-Identifier: Apache-2.0
#include "buffer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool buffer_full(const struct buffer *buffer)
{
	return buffer->length > buffer->size;
}

void put_bytes(struct buffer *buffer, const void *data, size_t size)
{
	if (buffer->length < buffer->size) {
		size_t room = buffer->size - buffer->length;

		memcpy(buffer->text + buffer->length, data, size < room ? size : room);
	}
	buffer->length += size;
}

void put(struct buffer *buffer, const char *format, ...)
{
	char piece[256];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(piece, sizeof(piece), format, args);
	va_end(args);
	if (length < 0)
		return;
	put_bytes(buffer, piece, (size_t)length < sizeof(piece) ? (size_t)length : sizeof(piece) - 1);
}

/* Bytes of the UTF-8 sequence that starts here (RFC 3629), or 0 if none does. */
static size_t sequence(const unsigned char *text)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = text[0] < 0x80 ? 1 : text[0] >= 0xf0 && text[0] < 0xf8 ? 4 : text[0] >= 0xe0 && text[0] < 0xf0 ? 3 :
			text[0] >= 0xc0 && text[0] < 0xe0 ? 2 : 0;
	uint32_t code = length > 1 ? text[0] & (0x7fU >> length) : text[0];

	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3fU);
	}
	if (length > 1 && (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)))
		return 0;
	return length;
}

void put_string(struct buffer *buffer, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	put_bytes(buffer, "\"", 1);
	while (*at) {
		size_t length = sequence(at);

		if (length == 0)
			put(buffer, "\\ufffd");
		else if (*at == '"' || *at == '\\')
			put(buffer, "\\%c", *at);
		else if (*at < 0x20 || *at == 0x7f)
			put(buffer, "\\u%04x", *at);
		else
			put_bytes(buffer, at, length);
		at += length ? length : 1;
	}
	put_bytes(buffer, "\"", 1);
}

void put_float(struct buffer *buffer, float value)
{
	if (isfinite(value))
		put(buffer, "%.9g", (double)value);
	else
		put(buffer, "null");
}

void put_hex(struct buffer *buffer, const uint8_t *data, size_t size)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		const char pair[2] = { digits[data[i] >> 4], digits[data[i] & 15] };

		put_bytes(buffer, pair, sizeof(pair));
	}
}

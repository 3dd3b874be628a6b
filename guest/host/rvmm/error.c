/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char text[512];

static void note(const char *format, va_list arguments)
{
	(void)vsnprintf(text, sizeof(text), format, arguments);
}

int fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	note(format, arguments);
	va_end(arguments);
	return -1;
}

int fail_errno(const char *format, ...)
{
	int error = errno;
	va_list arguments;
	size_t used;

	va_start(arguments, format);
	note(format, arguments);
	va_end(arguments);
	used = strlen(text);
	(void)snprintf(text + used, sizeof(text) - used, ": %s", strerror(error));
	errno = error; /* callers tell EINTR apart */
	return -1;
}

const char *failure(void)
{
	return text;
}

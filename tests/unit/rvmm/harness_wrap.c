/* SPDX-License-Identifier: Apache-2.0 */
/* `rvmm wrap` alone, as a program of the build computer. */
#include <stdarg.h>
#include <stdio.h>

#include "commands.h"
#include "error.h"

int command_failed(int code)
{
	return command_error(code, "%s", failure());
}

int command_error(int code, const char *format, ...)
{
	va_list arguments;

	(void)fprintf(stderr, "rvmm: ");
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fputc('\n', stderr);
	return code;
}

int main(int argc, char **argv)
{
	return command_wrap(argc, argv);
}

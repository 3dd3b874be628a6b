/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "commands.h"
#include "content.h"
#include "error.h"

int command_failed(int code)
{
	(void)fprintf(stderr, "rvmm: %s\n", failure());
	return code;
}

int command_error(int code, const char *format, ...)
{
	va_list arguments;

	(void)fputs("rvmm: ", stderr);
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fputc('\n', stderr);
	return code;
}

int command_dump_dtb(int argc, char **argv)
{
	struct options options;
	struct content content;
	int code = EXIT_OK;

	if (options_parse(&options, argc, argv, false) < 0)
		return command_failed(EXIT_USAGE);
	if (content_load(&content, &options) < 0)
		code = command_failed(EXIT_ERROR);
	else if (fwrite(content.dtb.bytes, content.population.dtb_bytes, 1, stdout) != 1 || fflush(stdout) != 0)
		code = command_error(EXIT_ERROR, "stdout: cannot write");
	content_free(&content);
	return code;
}

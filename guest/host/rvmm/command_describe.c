/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "content.h"
#include "describe.h"
#include "error.h"

static int print(const struct options *options, bool devices)
{
	struct content content;
	int code = EXIT_OK;

	if (content_load(&content, options) < 0 || describe_population(stdout, options, &content) < 0)
		code = command_failed(EXIT_ERROR);
	content_free(&content);
	if (code != EXIT_OK)
		return code;
	if (devices)
		describe_devices(stdout, options);
	return fflush(stdout) != 0 || ferror(stdout) ? command_error(EXIT_ERROR, "stdout: cannot write") : EXIT_OK;
}

/* The file can be opened as it would be. */
static int check_disk(const struct options *options)
{
	struct stat status;
	int fd, result;

	if (options->disk == NULL)
		return 0;
	/* NONBLOCK: a pipe in its place is an error and no reason to wait. */
	fd = open(options->disk, (options->disk_writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail_errno("%s", options->disk);
	result = fstat(fd, &status) < 0 ? fail_errno("%s", options->disk) : 0;
	if (result == 0 && !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
		result = fail("%s: expected a file or a block device", options->disk);
	(void)close(fd);
	return result;
}

int command_dry_run(const struct options *options)
{
	return check_disk(options) < 0 ? command_failed(EXIT_ERROR) : print(options, true);
}

int command_describe(int argc, char **argv)
{
	struct options options;

	if (options_parse(&options, argc, argv, false) < 0)
		return command_failed(EXIT_USAGE);
	return options.dry_run ? command_dry_run(&options) : print(&options, false);
}

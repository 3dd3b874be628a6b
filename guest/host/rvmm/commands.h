/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands; each returns the exit code. argv[0] is the subcommand's name. */
#ifndef RVMM_COMMANDS_H
#define RVMM_COMMANDS_H

#include "options.h"

int command_run(int argc, char **argv);
int command_wrap(int argc, char **argv);
int command_console(int argc, char **argv);
int command_wait(int argc, char **argv);
int command_stop(int argc, char **argv);
int command_dump_dtb(int argc, char **argv);
int command_describe(int argc, char **argv);

/* `run --dry-run`, and `describe --dry-run` where there is no `run`: check and print what would be made. */
int command_dry_run(const struct options *options);

/* "rvmm: " and failure(), or a text of one's own, on stderr; both give the exit code back. */
int command_failed(int code);
int command_error(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

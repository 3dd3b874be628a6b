/* SPDX-License-Identifier: Apache-2.0 */
/* What the program can do; each takes what follows its name and returns the exit code. */
#ifndef COMMANDS_H
#define COMMANDS_H

#define DELEGATED "/sys/kernel/debug/realm/pages"

int command_scan(int count, char **words);
int command_stream(int count, char **words);
int command_touch(int count, char **words);
int command_carve(int count, char **words);
int command_dma(int count, char **words);

#endif

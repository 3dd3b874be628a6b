/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plugin's answers. Every function returns one line of JSON without its newline. */
#ifndef REPLY_H
#define REPLY_H

#include "counter.h"

GString *reply_error(const char *message);
GString *reply_info(void);
GString *reply_counters(void);
GString *reply_markers(uint64_t since);
/* All three, for a machine that is gone; with its newline. */
GString *reply_report(void);

#endif

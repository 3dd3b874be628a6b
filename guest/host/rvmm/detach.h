/* SPDX-License-Identifier: Apache-2.0 */
/* --detach: a command goes on without its terminal, and the process that was started returns once it is set up. */
#ifndef RVMM_DETACH_H
#define RVMM_DETACH_H

#include <stdbool.h>

/*
 * Part from the terminal. True in the process that goes on, which owes `*parent` a word by detach_tell(); false in the
 * original one when that has been said, or cannot be any more: it returns with `*code`.
 */
bool detach(int *parent, int *code);

/* The original process prints the text, if there is one, and returns with this code. Only the first word counts. */
void detach_tell(int *parent, int code, const char *text);

#endif

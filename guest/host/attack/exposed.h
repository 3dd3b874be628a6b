/* SPDX-License-Identifier: Apache-2.0 */
/* Work that may end at any load: a page that is delegated to the Realm world kills the process that touches it. */
#ifndef EXPOSED_H
#define EXPOSED_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Run job(context) in a process of its own, which shares our memory and files, and wait for its end. True if it returned;
 * false if a signal took it. The job must not allocate or lock: what it holds when it dies is held for ever.
 */
bool run_exposed(void (*job)(void *context), void *context);

#endif

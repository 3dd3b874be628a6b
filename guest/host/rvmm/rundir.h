/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of a running guest. As long as its rvmm lives, a datagram socket in the abstract name space carries the
 * folder's device and inode number: bound by one process at a time and gone with it, so that a leftover is told from a
 * guest without asking whether a process id was given out again. A second one carries its process id as well, so that a
 * number in the file `pid` is known to be its own. (The testbed's kernel has no file locks.)
 */
#ifndef RVMM_RUNDIR_H
#define RVMM_RUNDIR_H

#include <stdbool.h>
#include <stdio.h>

struct rundir {
	int dir, claim, identity; /* descriptors; -1: none */
};

/* Make it or take it over from a dead rvmm; -1 with failure(), also if a live one has it. */
int rundir_open(struct rundir *rundir, const char *path);

/* Write DIR/name at once or not at all: `write` fills it. */
int rundir_write(const struct rundir *rundir, const char *name, void (*fill)(void *context, FILE *out), void *context);

/* Remove DIR/name if it is there. */
void rundir_remove(const struct rundir *rundir, const char *name);

void rundir_close(struct rundir *rundir);

/* Process id of the live rvmm in `path`; 0: it is dead; -1 with failure(): no such folder. */
int rundir_owner(const char *path);

#endif

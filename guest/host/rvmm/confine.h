/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VMM that a guest has taken over can still do: nothing that it does not need for that guest. In two steps, since
 * threads take over the privileges of the one that makes them, but the system calls that make them are to be gone:
 *
 *     open everything; confine_privileges(); make the threads, which wait; confine_calls(); let them go
 *
 * A call that is refused ends the process at once; DIR/exit then says which it was, unless the caller had blocked all
 * signals, as the C library does to make a thread: then the kernel ends it without a word. Functions return 0, or -1 with
 * failure().
 */
#ifndef RVMM_CONFINE_H
#define RVMM_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

struct confine {
	int dir;                       /* the run folder, which is all that stays of the file system */
	const unsigned long *requests; /* of ioctl, at run time; 0 is the last */
	bool tap;                      /* a network interface is there */
};

/*
 * Give up all privileges for good: the run folder becomes the root and nobody's, then so do user and groups; no capability
 * remains, and none comes back by executing anything. `pinned_bytes`: how much memory may be pinned for the guest. One
 * who is not root gives up what there is.
 */
int confine_privileges(const struct confine *confine, uint64_t pinned_bytes);

/* Refuse all system calls but those of a guest that runs, in all threads; no thread can be made afterwards. */
int confine_calls(const struct confine *confine);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The world outside of the device model, in memory. */
#ifndef EFFECTS_H
#define EFFECTS_H

#include <stdbool.h>

#include "input.h"

struct blk;

/* The next look for a frame takes one from here; NULL: there is none. */
void effects_frames(struct input *input);

/* Does the disk give errors from now on? */
void effects_medium(bool fails);

/* One step of the disk's thread: it takes a request, or it carries out the one it has and gives it back. */
void effects_work(struct blk *blk);

#endif

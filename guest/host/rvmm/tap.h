/* SPDX-License-Identifier: Apache-2.0 */
/* The host's end of a guest's network: a tap that is there as long as the process, or one for another program. */
#ifndef RVMM_TAP_H
#define RVMM_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Make it; its descriptor, which does not block, or -1 with failure(). Frames go behind a header as virtio-net
 * has it. */
int tap_open(const char *name);

/*
 * One that another program attaches to by its name: it stays until tap_remove(). One that was left behind will do. Both
 * functions wait for the program that is attached to let go of it, but TAP_LEAVE_MS at most; -1 with failure().
 */
#define TAP_LEAVE_MS 10000
int tap_make(const char *name);
int tap_remove(const char *name);

/* Give it an IPv4 address (host byte order) and bring it up; -1 with failure(). */
int tap_set_address(const char *name, uint32_t address, unsigned int prefix);

/* May the host send frames without a checksum, and segmentable ones of TCP over IPv4? */
void tap_offload(int tap, bool checksum, bool segments);

/* A frame for the host; false: it does not take it. */
bool tap_send(int tap, const struct iovec *parts, unsigned int count);

/* A frame from the host; 0: there is none, -1: nor will there be, the interface has gone. */
ssize_t tap_receive(int tap, void *frame, size_t size);

#endif

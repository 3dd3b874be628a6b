/* SPDX-License-Identifier: Apache-2.0 */
/* Starting later, by a datagram: deploy first, close the session, and start when no packet is on its way. */
#ifndef RUNNER_ARM_H
#define RUNNER_ARM_H

#include <stdbool.h>
#include <stdint.h>

/* A socket that datagrams to `port` of any address of this machine reach; -1 with errno. */
int arm_bind(uint16_t port);
/* Wait for the datagram `go`; other ones are dropped. Closes the socket. */
bool arm_wait(int socket);
/* Send that datagram to a port of an IPv4 address; false with errno (EINVAL: no such address). */
bool arm_go(const char *address, uint16_t port);
/*
 * Go on in the background: the calling process prints the number of its child and exits with 0; the child returns
 * from here in a session of its own, with no file open but `keep` (0 ends the list) and nothing at 0, 1 and 2. False
 * with errno: still in the foreground.
 */
bool arm_detach(const int *keep);

#endif

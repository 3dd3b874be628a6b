/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_PACKETS_H
#define RUNNER_PACKETS_H

#include <stdint.h>
#include <stdio.h>

/* Packets that all network interfaces but the loopback have received since boot. */
uint64_t packets_received(void);
/* The same from text like that of /proc/net/dev. */
uint64_t packets_parse(FILE *stream);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HARNESS_NET_H
#define HARNESS_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio.h"

/* What harness_virtio.c makes: the entropy device, one that keeps its chains, or one of these. */
enum { KIND_RNG, KIND_KEEPER, KIND_NET, KIND_CONSOLE };

/* A network device, or a console with a UART and a keyboard beside it. */
void start_net(struct virtio *device, unsigned int slot, const struct virtio_host *host);
void start_console(struct virtio *device, unsigned int slot, const struct virtio_host *host);

/* Something from outside for a guest that does anything: a frame or input. */
void poke_net(struct virtio *device, unsigned int size);
void poke_console(unsigned int size);

/* Commands whose names begin with n_. */
void do_net(struct virtio *device, const char *name, const uint64_t *words);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HARNESS_VIRTIO_H
#define HARNESS_VIRTIO_H

#include <stdint.h>

/* Commands whose names begin with v. */
void do_virtio(const char *name, const uint64_t *words);

/* And with n_: of its network device and consoles. */
void do_device(const char *name, const uint64_t *words);

#endif

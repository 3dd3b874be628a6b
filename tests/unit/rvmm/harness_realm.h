/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HARNESS_REALM_H
#define HARNESS_REALM_H

#include <stdint.h>

/* Commands whose names begin with r_. `rest`: the line behind the name. */
void do_realm(const char *name, const uint64_t *words, const char *rest);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Measurements (RMM 1.0, A7.1): the initial one, an extension for each step of building a realm; those that the realm extends. */
#ifndef RMM_MEASURE_H
#define RMM_MEASURE_H

#include "realm.h"
#include "rmi_pages.h"

#define DATA_MEASURE UINT64_C(1)

/* Start value, from the attributes that REALM_CREATE was given. Uses the calling CPU's `out` page. */
void measure_realm(struct rd *rd, const struct realm_params *params);
/* DATA_CREATE of `page` at `ipa`; `flags` as given. */
void measure_data(const struct realm *realm, uint64_t ipa, uint64_t flags, const void *page);
/* REC_CREATE of a runnable REC. Uses the calling CPU's `out` page. */
void measure_rec(const struct realm *realm, const struct rec_params *params);
/* RTT_INIT_RIPAS of one table entry. */
void measure_ripas(const struct realm *realm, uint64_t base, uint64_t top);

/* Bytes of a measurement, and what its hash algorithm is called (IANA Named Information registry). */
size_t measure_bytes(const struct rd *rd);
const char *measure_name(const struct rd *rd);
/* RSI_MEASUREMENT_EXTEND of REM `index` by at most MEASUREMENT_BYTES. */
void measure_rem(const struct realm *realm, uint64_t index, const void *value, size_t bytes);

#endif

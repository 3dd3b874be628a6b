/* SPDX-License-Identifier: Apache-2.0 */
/* CBOR (RFC 8949), written in its deterministic form (4.2.1): definite lengths, each head as short as can be. */
#ifndef RMM_CBOR_H
#define RMM_CBOR_H

#include "types.h"

/* What has been written so far. More than there is room for is a defect: the RMM's items have known sizes. */
struct cbor {
	uint8_t *bytes;
	size_t count, most;
};

void cbor_uint(struct cbor *out, uint64_t value);
/* -1 - `value`. */
void cbor_negative(struct cbor *out, uint64_t value);
void cbor_bytes(struct cbor *out, const void *bytes, size_t count);
/* The head of such a string; the caller adds its bytes. */
void cbor_bytes_head(struct cbor *out, size_t count);
void cbor_text(struct cbor *out, const char *text);
void cbor_array(struct cbor *out, size_t items);
void cbor_map(struct cbor *out, size_t pairs);
void cbor_tag(struct cbor *out, uint64_t tag);
/* Bytes that are CBOR already, or the rest of a string. */
void cbor_raw(struct cbor *out, const void *bytes, size_t count);

#endif

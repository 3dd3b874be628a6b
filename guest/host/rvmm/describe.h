/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest in words, one JSON object a line, for whoever predicts a realm's measurement or wants to know what would be
 * made. The steps come from population_walk(), which also makes the guest:
 *
 *     {"step": "create", "ipa_bits": .., "hash_algo": .., "num_bps": .., "num_wps": .., "rpv": HEX}      realms only
 *     {"step": "ripas", "base": .., "top": .., "entry_bytes": ..}
 *     {"step": "data", "ipa": .., "flags": .., "source": "kernel" | "initrd", "bytes": ..}               padded to pages
 *     {"step": "data", "ipa": .., "flags": .., "source": "dtb", "bytes": .., "content": BASE64}          likewise
 *     {"step": "rec", "index": .., "mpidr": .., "flags": .., "pc": .., "gprs": [..]}                     flag 1: runnable
 *     {"step": "activate"}
 */
#ifndef RVMM_DESCRIBE_H
#define RVMM_DESCRIBE_H

#include <stdio.h>

#include "content.h"

/* The steps; -1 with failure(). */
int describe_population(FILE *out, const struct options *options, const struct content *content);

/* What is beside them, and not measured: {"device": ..} a line, and one {"process": ..}. */
void describe_devices(FILE *out, const struct options *options);

#endif

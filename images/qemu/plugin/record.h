/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots of the counters, and the log of executed markers. */
#ifndef RECORD_H
#define RECORD_H

#include "counter.h"

/* One executed marker. Never changed nor freed once it is in the log. */
struct record {
	uint64_t seq;
	uint64_t value;         /* x0 */
	uint32_t event;
	uint32_t vcpu;
	struct place place;
	uint64_t values[];      /* per vCPU TALLY_VALUES, as in struct tally */
};

struct log_state {
	uint64_t total;         /* records in the log */
	uint64_t dropped;       /* markers beyond what it takes */
	uint64_t mismatches;    /* mode=both: markers at which the two methods differed */
};

/* Once `counter` knows the number of vCPUs. */
void record_init(void);
/* Called by the vCPU that executes the marker, before the marker is counted. */
void record_marker(unsigned vcpu, uint32_t event);

struct log_state record_state(void);
/*
 * At most `most` records from number `since` on, their number in *count, and the
 * log's state at that moment. The array is the caller's to free, the records are not.
 */
const struct record **record_list(uint64_t since, uint64_t most, uint64_t *count, struct log_state *state);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker leaves to the process that supervises it, in memory that both have: it is still there when the worker
 * was killed, and the worker never formats or writes a report while it is being counted.
 */
#ifndef RUNNER_RECORD_H
#define RUNNER_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"
#include "options.h"

/* Exit status of the runner. */
#define EXIT_INPUTS 1
#define EXIT_USAGE 2
#define EXIT_INFERENCE 3

#define OUTPUTS_MAX 64
#define NAMES_BYTES 8192

struct iteration {
	uint64_t read_ns;
	uint64_t infer_ns;
	uint64_t write_ns;
	uint32_t input;
};

enum stage { STAGE_WAIT, STAGE_LOAD, STAGE_INFER, STAGE_END };

struct record {
	volatile enum stage stage;
	volatile uint32_t done;         /* complete iterations, warm-ups included */
	char why[WHY_BYTES];            /* the reason for an exit status that is not 0 */
	uint64_t begin_ns;              /* guest clock before the first marker and ... */
	uint64_t end_ns;                /* ... behind the last */
	uint64_t load_ns;
	uint64_t rx_packets;
	uint32_t tensors;               /* records in the file of inputs */
	int nodes;
	int delegated;
	char without[WHY_BYTES];        /* why XNNPACK is not used, if it could not prepare the model */
	int type;                       /* of the scores, with ... */
	float scale;
	int32_t zero_point;             /* ... their quantization */
	uint32_t outputs;               /* tensors that are released whole, and ... */
	size_t sizes[OUTPUTS_MAX];      /* ... their bytes and, as JSON, ... */
	char names[NAMES_BYTES];        /* ... their names */
	size_t released_bytes;          /* of one iteration, in ... */
	uint8_t *released;              /* ... the area behind the iterations */
	size_t room;                    /* bytes of that area */
	struct iteration iterations[];
};

/* What is learnt of the process when it has ended. */
struct usage {
	long peak_rss_kib;
	long minor_faults;
	long major_faults;
};

/* Memory for so many iterations, shared with child processes; it takes room where it is written. NULL with errno. */
struct record *record_new(uint32_t iterations);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `runner run`. */
#ifndef RUNNER_OPTIONS_H
#define RUNNER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "release.h"

#define ITERATIONS_MAX 1000000
#define THREADS_MAX 64

struct options {
	const char *model;
	const char *inputs;
	const char *results;
	const char *labels;
	const char *signature;          /* NULL: the model's own choice, as in ports.h */
	const char *tensors[ROLES];     /* names of the tensors that are read; NULL: not named */
	const char *say_path;
	const char *say_text;
	uint64_t id;
	uint32_t iterations;
	uint32_t warmups;
	uint32_t threads;
	struct release_rule rule;
	bool arm;
	uint16_t port;
	uint32_t align_us;      /* 0: begin at once */
	uint32_t phase_us;      /* less than align_us */
};

#define PROBLEM_BYTES 256

/* Read the words behind `run`. False with a line in `problem` (PROBLEM_BYTES) that says what is wrong. */
bool options_parse(int count, char **words, struct options *options, char *problem);
/* A UDP port, 1..65535. */
bool parse_port(const char *text, uint16_t *port);

#endif

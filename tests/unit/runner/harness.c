// SPDX-License-Identifier: Apache-2.0
/*
 * The runner's pure parts behind a program for tests, compiled with sanitizers.
 *
 *     harness rank TYPE SCALE ZERO_POINT TOP HEX     lines of index and score
 *     harness released KIND TOP HEX                  the bytes that leave of float32 scores, in hex
 *     harness detect TOP MIN COUNT BOXES SCORES CLASSES     detections of float32 tensors in hex; COUNT, CLASSES or -
 *     harness string TEXT                            a JSON string
 *     harness packets                                sum of the text on standard input
 *     harness next NOW US PHASE_US                  when an aligned start would be, ns
 *     harness options WORD...                        what was understood, or the problem
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "clock.h"
#include "options.h"
#include "packets.h"
#include "release.h"
#include "tflite.h"

static size_t unhex(const char *hex, uint8_t *bytes)
{
	size_t count = strlen(hex) / 2;

	for (size_t i = 0; i < count; i++) {
		char pair[3] = { hex[2 * i], hex[2 * i + 1], 0 };

		bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return count;
}

static int do_rank(char **words)
{
	uint8_t *bytes = malloc(strlen(words[4]) / 2 + 1);      /* exactly as long as the tensor, for the sanitizer */
	const size_t size = unhex(words[4], bytes);
	const int type = atoi(words[0]);
	const uint32_t top = (uint32_t)atoi(words[3]);
	struct ranked *best = malloc(top * sizeof(*best));
	const struct scores scores = {
		.type = type,
		.scale = (float)atof(words[1]),
		.zero_point = atoi(words[2]),
		.count = (uint32_t)(size / release_width(type)),
		.data = bytes,
	};

	rank(&scores, top, best);
	for (uint32_t i = 0; i < top; i++)
		printf("%u %.9g\n", best[i].index, (double)best[i].score);
	free(best);
	free(bytes);
	return 0;
}

static int do_released(char **words)
{
	struct release_rule rule = { .top = (uint32_t)atoi(words[1]) };
	uint8_t bytes[256], out[1024];
	const size_t size = unhex(words[2], bytes);
	const struct scores scores = {
		.type = TFLITE_FLOAT32, .count = (uint32_t)size / 4, .bytes = size, .data = bytes,
	};
	char text[2048];
	struct buffer hex = { .text = text, .size = sizeof(text) };

	if (!release_parse(words[0], &rule.kind))
		return 2;
	memset(out, 0xee, sizeof(out));
	release(&rule, &scores, 1, out);
	put_hex(&hex, out, release_bytes(&rule, &scores, 1) + 1);       /* one more, which must be as it was */
	printf("%.*s\n", (int)hex.length, text);
	return 0;
}

static struct scores floats(const char *hex, uint32_t last)
{
	uint8_t *bytes = strcmp(hex, "-") ? malloc(strlen(hex) / 2 + 1) : NULL;
	const size_t size = bytes ? unhex(hex, bytes) : 0;

	return (struct scores){
		.type = TFLITE_FLOAT32, .count = (uint32_t)size / 4, .last = last, .bytes = size, .data = bytes,
	};
}

static int do_detect(char **words)
{
	const struct release_rule rule = {
		.kind = RELEASE_DETECTIONS, .top = (uint32_t)atoi(words[0]), .min_score = (float)atof(words[1]),
	};
	struct scores tensors[ROLES] = {
		[ROLE_BOXES] = floats(words[3], BOX),
		[ROLE_SCORES] = floats(words[4], 1),
		[ROLE_CLASSES] = floats(words[5], 1),
		[ROLE_COUNT] = floats(words[2], 1),
	};
	struct detection found[RELEASE_TOP_MAX];
	char what[160] = "";

	const bool fits = release_fits(&rule, tensors, what, sizeof(what));

	if (fits)
		release(&rule, tensors, ROLES, found);
	else
		printf("%s\n", what);
	for (uint32_t i = 0; fits && i < rule.top && found[i].index != NO_DETECTION; i++)
		printf("%u %d %.9g %.9g %.9g %.9g %.9g\n", found[i].index, found[i].class, (double)found[i].score,
		       (double)found[i].box[0], (double)found[i].box[1], (double)found[i].box[2], (double)found[i].box[3]);
	for (int role = 0; role < ROLES; role++)
		free((void *)(uintptr_t)tensors[role].data);
	return fits ? 0 : 2;
}

static int do_options(int count, char **words)
{
	struct options options;
	char problem[PROBLEM_BYTES];

	if (!options_parse(count, words, &options, problem)) {
		printf("%s\n", problem);
		return 2;
	}
	printf("%s %s %s %u %u %u %s %u %" PRIu64 " %d %u %u %u %s %s\n", options.model, options.inputs, options.results,
	       options.iterations, options.warmups, options.threads, release_name(options.rule.kind), options.rule.top,
	       options.id, options.arm, options.port, options.align_us, options.phase_us,
	       options.say_path ? options.say_path : "-", options.say_text ? options.say_text : "-");
	if (options.signature || options.tensors[0])
		printf("%s %s %s %u %g\n", options.signature ? options.signature : "-", options.tensors[0],
		       options.tensors[ROLE_SCORES] ? options.tensors[ROLE_SCORES] : "-", options.rule.dims,
		       (double)options.rule.min_score);
	return 0;
}

static int do_string(const char *text)
{
	char small[8], large[1024];
	struct buffer cut = { .text = small, .size = sizeof(small) }, whole = { .text = large, .size = sizeof(large) };

	put_string(&cut, text);         /* may not write behind its end, and must come to the same length */
	put_string(&whole, text);
	if (cut.length != whole.length || buffer_full(&cut) != (cut.length > cut.size))
		return 1;
	printf("%.*s\n", (int)whole.length, large);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 7 && !strcmp(argv[1], "rank"))
		return do_rank(argv + 2);
	if (argc == 5 && !strcmp(argv[1], "released"))
		return do_released(argv + 2);
	if (argc == 8 && !strcmp(argv[1], "detect"))
		return do_detect(argv + 2);
	if (argc == 3 && !strcmp(argv[1], "string"))
		return do_string(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "packets"))
		return printf("%" PRIu64 "\n", packets_parse(stdin)) < 0;
	if (argc == 5 && !strcmp(argv[1], "next"))
		return printf("%" PRIu64 "\n", clock_next(strtoull(argv[2], NULL, 10), (uint32_t)atoi(argv[3]),
							  (uint32_t)atoi(argv[4]))) < 0;
	if (argc >= 2 && !strcmp(argv[1], "options"))
		return do_options(argc - 2, argv + 2);
	return 2;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds inputs for a fuzz target where there is no libFuzzer: mutates those that reached code nobody reached before
 * (gcc's -fsanitize-coverage=trace-pc). The same seed gives the same inputs.
 *
 *     TARGET --seed N [--runs N] [--seconds N] [--save FILE]   FILE gets the input that crashes
 *     TARGET FILE...                                           run these inputs
 */
#define _GNU_SOURCE
#include <sanitizer/common_interface_defs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INPUT_BYTES 4096U
#define CORPUS      4096U
#define EDGES       65536U

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
void __sanitizer_cov_trace_pc(void);
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

struct sample {
	uint8_t *bytes;
	size_t size;
};

static struct sample corpus[CORPUS];
static unsigned int samples, edges;
static uint8_t seen[EDGES];               /* how often each edge was gone along in one run, as a set of magnitudes */
static uint8_t counts[EDGES];             /* in this run */
static uint32_t touched[EDGES], touches;  /* where counts are not 0 */
static uint8_t current_bytes[INPUT_BYTES];
static size_t current_size;
static uintptr_t last;
static uint64_t random_state;
static const char *save;

/* ---- Coverage ----------------------------------------------------------------------------------------------- */

/* Called at each edge of the target. */
void __sanitizer_cov_trace_pc(void)
{
	uintptr_t here = (uintptr_t)__builtin_return_address(0) * 0x9e3779b97f4a7c15U >> 40, edge = (here ^ last >> 1) % EDGES;

	last = here;
	if (counts[edge] == 0)
		touched[touches++] = (uint32_t)edge;
	if (counts[edge] != UINT8_MAX)
		counts[edge]++;
}

/* A bit for 1, 2, 3, 4, 8, 16, 32, 128 times and more. */
static uint8_t magnitude(uint8_t count) /* not 0 */
{
	static const uint8_t limits[] = { 1, 2, 3, 4, 8, 16, 32, 128 };
	unsigned int bit = 7;

	while (count < limits[bit])
		bit--;
	return (uint8_t)(1U << bit);
}

/* Did the last run do anything that none did before? */
static bool news(void)
{
	bool result = false;

	while (touches > 0) {
		uint32_t edge = touched[--touches];
		uint8_t bit = magnitude(counts[edge]);

		edges += seen[edge] == 0;
		result = result || (seen[edge] & bit) == 0;
		seen[edge] |= bit;
		counts[edge] = 0;
	}
	return result;
}

/* ---- Inputs ------------------------------------------------------------------------------------------------- */

static uint32_t below(uint32_t limit)
{
	/* xorshift64* */
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)(random_state * 0x2545f4914f6cdd1dU >> 32) % limit;
}

static void fresh(void)
{
	size_t i;

	current_size = 1 + below(512);
	for (i = 0; i < current_size; i++)
		current_bytes[i] = (uint8_t)below(256);
}

/* Put `size` bytes in at `place`; what does not fit falls off. */
static void insert(size_t place, const uint8_t *bytes, size_t size)
{
	if (current_size + size > INPUT_BYTES)
		return;
	memmove(current_bytes + place + size, current_bytes + place, current_size - place);
	memcpy(current_bytes + place, bytes, size);
	current_size += size;
}

static void cut(void)
{
	size_t place = below((uint32_t)current_size), size = 1 + below(32);

	if (size >= current_size - place)
		return;
	memmove(current_bytes + place, current_bytes + place + size, current_size - place - size);
	current_size -= size;
}

static void mutate(void)
{
	const struct sample *other = &corpus[below(samples)];
	uint8_t noise[32];
	size_t i, from;

	switch (below(6)) {
	case 0:
		current_bytes[below((uint32_t)current_size)] = (uint8_t)below(256);
		break;
	case 1:
		current_bytes[below((uint32_t)current_size)] ^= (uint8_t)(1U << below(8));
		break;
	case 2:
		cut();
		break;
	case 3:
		for (i = 0; i < sizeof(noise); i++)
			noise[i] = (uint8_t)below(256);
		insert(below((uint32_t)current_size + 1), noise, 1 + below(sizeof(noise)));
		break;
	case 4: /* a piece of another */
		from = below((uint32_t)other->size);
		insert(below((uint32_t)current_size + 1), other->bytes + from, 1 + below((uint32_t)(other->size - from)));
		break;
	default: /* more of the same at the end: long lives reach more */
		for (i = 0; i < sizeof(noise); i++)
			noise[i] = (uint8_t)below(256);
		insert(current_size, noise, sizeof(noise));
		break;
	}
}

static void make(void)
{
	unsigned int i, count = 1 + below(8);
	const struct sample *chosen;

	if (samples == 0 || below(16) == 0) {
		fresh();
		return;
	}
	chosen = &corpus[below(samples)];
	current_size = chosen->size;
	memcpy(current_bytes, chosen->bytes, current_size);
	for (i = 0; i < count; i++)
		mutate();
}

static void keep(void)
{
	struct sample *sample = &corpus[samples < CORPUS ? samples++ : below(CORPUS)];

	free(sample->bytes);
	*sample = (struct sample){ .bytes = malloc(current_size), .size = current_size };
	if (sample->bytes == NULL)
		exit(2);
	memcpy(sample->bytes, current_bytes, current_size);
}

/* ---- Running ------------------------------------------------------------------------------------------------ */

/* abort() and signals too go through the sanitizer, which calls on_death() first. */
const char *__asan_default_options(void)
{
	return "handle_abort=1:detect_leaks=0:allocator_may_return_null=1";
}

/* So do its findings about undefined behaviour, which end in abort(). */
const char *__ubsan_default_options(void)
{
	return "abort_on_error=1:print_stacktrace=1";
}

static void on_death(void)
{
	FILE *file = save != NULL ? fopen(save, "wb") : NULL;

	if (file == NULL)
		return;
	(void)fwrite(current_bytes, 1, current_size, file);
	(void)fclose(file);
	(void)fprintf(stderr, "the input is in %s\n", save);
}

static void run(void)
{
	/* A copy of its own: reading behind the end is seen. */
	uint8_t *bytes = malloc(current_size);

	if (bytes == NULL)
		exit(2);
	memcpy(bytes, current_bytes, current_size);
	last = 0;
	(void)LLVMFuzzerTestOneInput(bytes, current_size);
	free(bytes);
}

static int replay(const char *path)
{
	FILE *file = fopen(path, "rb");

	if (file == NULL) {
		perror(path);
		return 2;
	}
	current_size = fread(current_bytes, 1, sizeof(current_bytes), file);
	(void)fclose(file);
	run();
	return 0;
}

static void search(uint64_t seed, uint64_t runs, time_t seconds)
{
	time_t end = time(NULL) + seconds;
	uint64_t done;

	random_state = seed * 2 + 1;
	for (done = 0; runs == 0 || done < runs; done++) {
		if (seconds != 0 && done % 64 == 0 && time(NULL) >= end)
			break;
		make();
		run();
		if (news())
			keep();
	}
	printf("runs %llu edges %u samples %u\n", (unsigned long long)done, edges, samples);
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, runs = 0;
	time_t seconds = 0;
	int i;

	__sanitizer_set_death_callback(on_death);
	for (i = 1; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
		if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--runs") == 0)
			runs = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--seconds") == 0)
			seconds = (time_t)strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--save") == 0)
			save = argv[i + 1];
		else
			return 2;
	}
	if (i < argc) {
		for (; i < argc; i++)
			if (replay(argv[i]) != 0)
				return 2;
		return 0;
	}
	if (runs == 0 && seconds == 0)
		return 2;
	search(seed, runs, seconds);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Senseless calls of /dev/realm: any number, any structure, any moment, several threads on one file, children, files that
 * are closed in the middle. What is called follows from the seed alone; how threads meet does not.
 *
 * A realm of sense lives beside all that and is asked now and then whether it still works.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

#define THREADS      3
#define PER_FILE     200  /* calls before the next file */
#define BUFFER_BYTES 0x40000UL

struct fuzzer {
	uint64_t state;
	int fd;                /* shared by the threads, and perhaps closed by one of them */
	unsigned long calls;
	uint8_t *buffer;       /* ordinary memory of the process; the page behind it is not there */
	void *rec;             /* pages of REC 0, or NULL */
	const volatile void *live_rec; /* of the other realm */
};

/* What answers there were, to see that the fuzzer gets anywhere: 0 success, errno, beyond: others. */
static _Atomic unsigned long answers[256];

/* SplitMix64. */
static uint64_t draw(struct fuzzer *fuzzer)
{
	uint64_t value = fuzzer->state += UINT64_C(0x9e3779b97f4a7c15);

	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

static uint64_t below(struct fuzzer *fuzzer, uint64_t limit)
{
	return draw(fuzzer) % limit;
}

static bool one_in(struct fuzzer *fuzzer, uint64_t chance)
{
	return below(fuzzer, chance) == 0;
}

/* ---- Values --------------------------------------------------------------------------------------------------- */

static uint64_t page_count(struct fuzzer *fuzzer)
{
	return PAGE << below(fuzzer, 8);
}

/* Mostly something near what means something, now and then just anything. */
static uint64_t ipa(struct fuzzer *fuzzer)
{
	static const uint64_t edges[] = {
		0, 1, PAGE - 1, RAM, RAM + RAM_SIZE, ALIAS - PAGE, ALIAS, ALIAS + RAM, 2 * ALIAS - PAGE, 2 * ALIAS,
		1ULL << 47, 1ULL << 48, ~0ULL, ~0ULL << 12, 1ULL << 63,
	};
	uint64_t kind = below(fuzzer, 16);

	if (kind == 0)
		return draw(fuzzer);
	if (kind == 1)
		return edges[below(fuzzer, sizeof(edges) / sizeof(*edges))];
	if (kind == 2)
		return RAM + below(fuzzer, RAM_SIZE);
	return (kind < 10 ? RAM : ALIAS + RAM) + below(fuzzer, RAM_SIZE / PAGE) * PAGE;
}

static uint64_t size(struct fuzzer *fuzzer)
{
	uint64_t kind = below(fuzzer, 24);

	if (kind == 0)
		return draw(fuzzer);
	if (kind == 1)
		return 0;
	if (kind == 2)
		return ~0ULL - below(fuzzer, 3) * PAGE + 1;
	return page_count(fuzzer);
}

static uint64_t address(struct fuzzer *fuzzer)
{
	static const uint64_t wild[] = { 0, 1, PAGE, ~0ULL, ~0ULL << 12, 1ULL << 47, 1ULL << 55, 0xffff800080000000ULL };

	switch (below(fuzzer, 10)) {
	case 0:
		return wild[below(fuzzer, sizeof(wild) / sizeof(*wild))];
	case 1:
		return (uint64_t)payload; /* read-only */
	case 2:
		return (uint64_t)fuzzer->rec;
	case 3:
		return (uint64_t)fuzzer->buffer + BUFFER_BYTES - PAGE; /* the next one is missing */
	case 4:
		return (uint64_t)fuzzer->buffer + below(fuzzer, BUFFER_BYTES);
	default:
		return (uint64_t)fuzzer->buffer + below(fuzzer, BUFFER_BYTES / PAGE) * PAGE;
	}
}

/* Of data, which is only read: the other realm's page as well. */
static uint64_t source(struct fuzzer *fuzzer)
{
	return one_in(fuzzer, 10) ? (uint64_t)fuzzer->live_rec : address(fuzzer);
}

static uint64_t flags(struct fuzzer *fuzzer)
{
	return one_in(fuzzer, 8) ? ~0ULL >> below(fuzzer, 64) : below(fuzzer, 3);
}

/* ---- Calls ---------------------------------------------------------------------------------------------------- */

union argument {
	struct realm_create create;
	struct realm_range range;
	struct realm_data data;
	struct realm_share share;
	struct realm_ripas ripas;
	struct realm_rec_create rec;
	struct realm_psci psci;
	uint64_t words[16];
};

static void fill(struct fuzzer *fuzzer, unsigned long command, union argument *argument)
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		argument->words[i] = draw(fuzzer);
	if (one_in(fuzzer, 12))
		return; /* nothing but noise */
	if (command == REALM_CREATE)
		argument->create = (struct realm_create){ .ipa_bits = one_in(fuzzer, 4) ? (uint8_t)draw(fuzzer) : IPA_BITS,
							  .hash_algo = one_in(fuzzer, 8) ? (uint8_t)draw(fuzzer) : 0,
							  .num_bps = one_in(fuzzer, 8) ? (uint8_t)draw(fuzzer) : 0 };
	else if (command == REALM_DATA)
		argument->data = (struct realm_data){ ipa(fuzzer), source(fuzzer), size(fuzzer), flags(fuzzer) };
	else if (command == REALM_SHARE)
		argument->share = (struct realm_share){ ipa(fuzzer), address(fuzzer), size(fuzzer) };
	else if (command == REALM_SET_RIPAS)
		argument->ripas = (struct realm_ripas){ .rec = (uint32_t)flags(fuzzer), .ripas = (uint32_t)flags(fuzzer) };
	else if (command == REALM_REC_CREATE)
		argument->rec = (struct realm_rec_create){ .mpidr = one_in(fuzzer, 3) ? draw(fuzzer) : 0, .pc = ipa(fuzzer),
							   .flags = flags(fuzzer) };
	else if (command == REALM_PSCI)
		argument->psci = (struct realm_psci){ (uint32_t)flags(fuzzer), (uint32_t)flags(fuzzer), (int64_t)flags(fuzzer) };
	else
		argument->range.base = ipa(fuzzer);
	if (command == REALM_INIT_RIPAS || command == REALM_POPULATE || command == REALM_UNSHARE)
		argument->range.top = argument->range.base + size(fuzzer);
	if (command == REALM_SET_RIPAS) {
		argument->ripas.base = ipa(fuzzer);
		argument->ripas.top = argument->ripas.base + size(fuzzer);
	}
}

static unsigned long pick_command(struct fuzzer *fuzzer)
{
	static const unsigned long known[] = {
		REALM_INFO, REALM_CREATE, REALM_INIT_RIPAS, REALM_DATA, REALM_DATA, REALM_POPULATE, REALM_POPULATE, REALM_SHARE,
		REALM_SHARE, REALM_UNSHARE, REALM_SET_RIPAS, REALM_REC_CREATE, REALM_ACTIVATE, REALM_REC_ENTER, REALM_REC_ENTER,
		REALM_PSCI, REALM_LAST,
	};

	if (one_in(fuzzer, 20))
		return draw(fuzzer) & 0xffffffff;
	if (one_in(fuzzer, 20)) /* a known number with another direction or size */
		return _IOC(below(fuzzer, 4), 'R', below(fuzzer, 0x10), below(fuzzer, 0x4000));
	/* A realm that is activated early is one that little can be done with. */
	if (one_in(fuzzer, 6))
		return REALM_POPULATE;
	return known[below(fuzzer, sizeof(known) / sizeof(*known))];
}

static void call(struct fuzzer *fuzzer)
{
	unsigned long command = pick_command(fuzzer);
	union argument argument;
	void *pointer = &argument;
	int result;

	if (command == REALM_ACTIVATE && !one_in(fuzzer, 8))
		return;
	fill(fuzzer, command, &argument);
	if (one_in(fuzzer, 30))
		pointer = (void *)address(fuzzer);
	if (command == REALM_REC_ENTER)
		pointer = (void *)(one_in(fuzzer, 4) ? draw(fuzzer) : 0);
	errno = 0;
	result = ioctl(fuzzer->fd, command, pointer);
	answers[result < 0 ? (unsigned int)errno & 0xff : 0]++;
}

/* Map, unmap, protect, forget: whatever can be done with the pages of a REC. */
static void map(struct fuzzer *fuzzer)
{
	bool sensible = !one_in(fuzzer, 3);
	uint64_t bytes = sensible ? REALM_REC_SIZE : page_count(fuzzer);
	off_t offset = sensible ? 0 : (off_t)(below(fuzzer, 64) * PAGE);
	int protection = one_in(fuzzer, 4) ? PROT_READ | PROT_EXEC : PROT_READ | PROT_WRITE;
	void *pages = mmap(NULL, bytes, protection, one_in(fuzzer, 6) ? MAP_PRIVATE : MAP_SHARED, fuzzer->fd,
			   one_in(fuzzer, 20) ? (off_t)(draw(fuzzer) >> 1 & ~(PAGE - 1)) : offset);

	if (pages == MAP_FAILED)
		return;
	if (one_in(fuzzer, 4))
		(void)mremap(pages, bytes, bytes * 2, MREMAP_MAYMOVE);
	if (one_in(fuzzer, 4))
		(void)madvise(pages, bytes, (int)below(fuzzer, 26));
	if (one_in(fuzzer, 4))
		(void)munmap(pages, PAGE);
	(void)munmap(pages, bytes);
}

/* Noise in the page that driver and RMM read. */
static void scribble(struct fuzzer *fuzzer)
{
	volatile uint64_t *words = fuzzer->rec;

	if (words != NULL)
		words[below(fuzzer, 2 * PAGE / 8)] = one_in(fuzzer, 2) ? draw(fuzzer) : below(fuzzer, 16);
}

/* A child has the file as well, and may be the last to close it. */
static void be_forked(struct fuzzer *fuzzer)
{
	pid_t child = fork();
	unsigned int i;

	if (child == 0) {
		for (i = 0; i < 5; i++)
			call(fuzzer);
		_exit(0);
	}
	if (child > 0 && one_in(fuzzer, 2))
		(void)kill(child, SIGKILL);
	/* What interrupts this thread's calls does so with the child's, which would have the files for as long as it spins. */
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		(void)kill(child, SIGALRM);
}

static void *run_thread(void *argument)
{
	struct fuzzer *fuzzer = argument;
	unsigned long i;

	for (i = 0; i < fuzzer->calls; i++) {
		call(fuzzer);
		if (one_in(fuzzer, 8))
			scribble(fuzzer);
		if (one_in(fuzzer, 16))
			map(fuzzer);
		if (one_in(fuzzer, 200))
			be_forked(fuzzer);
	}
	return NULL;
}

/* ---- Files ---------------------------------------------------------------------------------------------------- */

/* Some files start out as a realm that could run, since noise alone does not make one. */
static int open_file(struct fuzzer *fuzzer, struct machine *machine)
{
	*machine = (struct machine){ .fd = -1 };
	if (one_in(fuzzer, 3)) {
		*machine = make_machine();
		return machine->fd;
	}
	return one_in(fuzzer, 2) ? open_realm() : open("/dev/realm", O_RDWR | O_CLOEXEC);
}

static void ignore(int number)
{
	(void)number;
}

/* Wait for a thread; calls that have much to do (a whole address space, a realm that spins) are interrupted. */
static void join(pthread_t id)
{
	struct timespec until;

	for (;;) {
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 20000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		if (pthread_timedjoin_np(id, NULL, &until) == 0)
			return;
		(void)pthread_kill(id, SIGALRM);
	}
}

/* One file, several threads; one of them may close it under the others' feet. */
static void one_file(struct fuzzer *fuzzer)
{
	struct fuzzer threads[THREADS];
	pthread_t ids[THREADS];
	struct machine machine;
	bool early = one_in(fuzzer, 4);
	unsigned int i;

	fuzzer->fd = open_file(fuzzer, &machine);
	if (fuzzer->fd < 0)
		bail("/dev/realm");
	fuzzer->rec = machine.run;
	for (i = 0; i < THREADS; i++) {
		threads[i] = *fuzzer;
		threads[i].state = draw(fuzzer);
		threads[i].calls = PER_FILE / THREADS;
		if (pthread_create(&ids[i], NULL, run_thread, &threads[i]) != 0)
			bail("thread");
	}
	if (early) {
		usleep((useconds_t)below(fuzzer, 3000));
		(void)close(fuzzer->fd);
	}
	for (i = 0; i < THREADS; i++)
		join(ids[i]);
	if (machine.run != NULL)
		(void)munmap(machine.run, REALM_REC_SIZE);
	if (!early)
		(void)close(fuzzer->fd);
}

/* ---- The other realm -------------------------------------------------------------------------------------------- */

static bool lives(struct machine *machine, uint64_t value)
{
	return order(machine, ORDER_STORE, FREE_PAGE, value) == EXIT_CALL &&
	       order(machine, ORDER_LOAD, FREE_PAGE, 0) == EXIT_CALL && machine->run->gprs[0] == value;
}

static struct machine make_living(void)
{
	struct machine machine = make_machine();
	struct realm_range page = { FREE_PAGE, FREE_PAGE + PAGE };

	if (ioctl(machine.fd, REALM_POPULATE, &page) < 0 || enter(&machine) != EXIT_CALL)
		bail("the other realm");
	return machine;
}

static uint8_t *make_buffer(void)
{
	uint8_t *buffer = mmap(NULL, BUFFER_BYTES + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (buffer == MAP_FAILED || munmap(buffer + BUFFER_BYTES, PAGE) < 0)
		bail("buffer");
	return buffer;
}

static void report(void)
{
	unsigned int i;

	printf("# answers:");
	for (i = 0; i < 256; i++)
		if (answers[i] != 0)
			printf(" %s %lu", i == 0 ? "success" : strerrorname_np((int)i), answers[i]);
	printf("\n");
}

int fuzz(uint64_t seed, unsigned long count)
{
	struct machine living = make_living();
	long own = counter("granules"), left;
	struct fuzzer fuzzer = { .state = seed, .buffer = make_buffer(), .live_rec = living.run };
	unsigned long done;
	bool alive = true;

	(void)sigaction(SIGALRM, &(struct sigaction){ .sa_handler = ignore }, NULL);
	for (done = 0; done < count && alive; done += PER_FILE) {
		one_file(&fuzzer);
		alive = lives(&living, draw(&fuzzer));
	}
	report();
	left = counter("granules") - own;
	close_machine(&living);
	printf("fuzz: %lu calls, the other realm %s, %ld granules left, then %ld, leaked %ld\n", done,
	       alive ? "lives" : "is dead", left, counter("granules"), counter("leaked"));
	return alive && left == 0 && counter("granules") == 0 && counter("leaked") == 0 ? 0 : 1;
}

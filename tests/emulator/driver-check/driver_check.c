/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses and misuses /dev/realm, the way a VMM would and the way none should. TAP on stdout.
 *
 *     driver-check            all checks
 *     driver-check hold       make a realm, run it for ever (for tests that kill it)
 *     driver-check idle       make a realm, leave it alone
 *     driver-check fuzz SEED COUNT    that many senseless calls, beside a realm that must not notice
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"

static unsigned int checks;

static void check(bool good, const char *format, ...)
{
	int error = errno;
	va_list list;

	printf("%sok %u - ", good ? "" : "not ", ++checks);
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	printf("\n");
	if (!good)
		printf("# errno %d (%s)\n", error, strerror(error));
	fflush(stdout);
}

void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

long counter(const char *name)
{
	char path[64];
	long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/realm/%s", name);
	file = fopen(path, "r");
	if (file == NULL || fscanf(file, "%ld", &value) != 1)
		bail(path);
	fclose(file);
	return value;
}

static int refused(int fd, unsigned long command, void *argument, int error)
{
	errno = 0;
	return ioctl(fd, command, argument) < 0 && errno == error;
}

/* ---- A realm that obeys orders -------------------------------------------------------------------------------- */

int open_realm(void)
{
	struct realm_create create = { .ipa_bits = IPA_BITS };
	int fd = open("/dev/realm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		bail("/dev/realm");
	if (ioctl(fd, REALM_CREATE, &create) < 0)
		bail("REALM_CREATE");
	return fd;
}

struct machine make_machine(void)
{
	struct machine machine = { .fd = open_realm() };
	struct realm_range ram = { RAM, RAM + RAM_SIZE }, call = { RAM + PAGE, RAM + 2 * PAGE };
	struct realm_data data = { .ipa = RAM, .source = (uint64_t)payload, .size = PAGE, .flags = REALM_DATA_MEASURE };
	struct realm_rec_create rec = { .pc = RAM, .flags = REALM_REC_RUNNABLE };
	void *pages;

	if (ioctl(machine.fd, REALM_INIT_RIPAS, &ram) < 0 || ioctl(machine.fd, REALM_DATA, &data) < 0 ||
	    ioctl(machine.fd, REALM_POPULATE, &call) < 0 || ioctl(machine.fd, REALM_REC_CREATE, &rec) != 0 ||
	    ioctl(machine.fd, REALM_ACTIVATE) < 0)
		bail("making a realm");
	pages = mmap(NULL, REALM_REC_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, machine.fd, REALM_REC_OFFSET(0));
	if (pages == MAP_FAILED)
		bail("mapping a REC");
	machine.run = pages;
	machine.control = (struct realm_control *)((char *)pages + PAGE);
	return machine;
}

void close_machine(struct machine *machine)
{
	munmap(machine->run, REALM_REC_SIZE);
	close(machine->fd);
}

int enter(struct machine *machine)
{
	do {
		if (ioctl(machine->fd, REALM_REC_ENTER, 0) < 0)
			return -errno;
		machine->run->flags = 0;
	} while (machine->run->reason == EXIT_IRQ);
	return machine->run->reason;
}

int order(struct machine *machine, uint64_t what, uint64_t address, uint64_t value)
{
	machine->run->enter_gprs[0] = what;
	machine->run->enter_gprs[1] = address;
	machine->run->enter_gprs[2] = value;
	return enter(machine);
}

/* ---- Checks --------------------------------------------------------------------------------------------------- */

static void check_before_creation(void)
{
	struct realm_create create = { .ipa_bits = IPA_BITS };
	struct realm_range range = { RAM, RAM + PAGE };
	struct realm_info info = { 0 };
	int fd = open("/dev/realm", O_RDWR);

	check(ioctl(fd, REALM_INFO, &info) == 0 && info.abi == REALM_ABI && info.rmi_version == 0x10000, "INFO");
	check(refused(fd, REALM_INIT_RIPAS, &range, EBUSY), "INIT_RIPAS before CREATE is refused");
	check(refused(fd, REALM_ACTIVATE, NULL, EBUSY), "ACTIVATE before CREATE is refused");
	check(refused(fd, REALM_REC_ENTER, NULL, EINVAL), "REC_ENTER without a REC is refused");
	check(refused(fd, _IO('R', 0x7f), NULL, EBUSY) || errno == ENOTTY, "an unknown command is refused");
	check(refused(fd, _IO('X', 1), NULL, ENOTTY), "a command of another device is refused");
	check(refused(fd, REALM_CREATE, NULL, EFAULT), "CREATE without a structure is refused");
	create.ipa_bits = 31;
	check(refused(fd, REALM_CREATE, &create, EINVAL), "31-bit IPAs are refused");
	create.ipa_bits = 200;
	check(refused(fd, REALM_CREATE, &create, EINVAL), "200-bit IPAs are refused");
	create.ipa_bits = IPA_BITS;
	create.reserved = 1;
	check(refused(fd, REALM_CREATE, &create, EINVAL), "a reserved field that is not zero is refused");
	create.reserved = 0;
	create.hash_algo = 77;
	check(refused(fd, REALM_CREATE, &create, EPROTO), "an unknown hash is refused by the RMM");
	create.hash_algo = 0;
	check(ioctl(fd, REALM_CREATE, &create) == 0, "CREATE works after refusals");
	check(refused(fd, REALM_CREATE, &create, EBUSY), "a second CREATE is refused");
	close(fd);
	check(counter("granules") == 0, "closing gives everything back");
}

static void check_ranges(void)
{
	static const struct realm_range bad[] = {
		{ RAM + 1, RAM + PAGE }, { RAM, RAM + 17 }, { RAM + PAGE, RAM }, { RAM, RAM }, { ALIAS, ALIAS + PAGE },
		{ RAM, ALIAS + PAGE }, { 0, ~0ULL << 12 },
	};
	int fd = open_realm();
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct realm_range range = bad[i];
		struct realm_data data = { .ipa = bad[i].base, .source = (uint64_t)payload, .size = bad[i].top - bad[i].base };

		check(refused(fd, REALM_INIT_RIPAS, &range, EINVAL) && refused(fd, REALM_POPULATE, &range, EINVAL) &&
		      refused(fd, REALM_DATA, &data, EINVAL),
		      "range %#llx to %#llx is refused", (unsigned long long)bad[i].base, (unsigned long long)bad[i].top);
	}
	close(fd);
}

static void check_data(void)
{
	int fd = open_realm();
	struct realm_range ram = { RAM, RAM + RAM_SIZE };
	struct realm_data data = { .ipa = RAM, .source = 0x1000, .size = PAGE };
	struct realm_share share = { .ipa = RAM, .source = (uint64_t)payload, .size = PAGE };
	struct realm_ripas ripas = { .rec = 3, .base = RAM, .top = RAM + PAGE };
	struct realm_rec_create rec = { .flags = 6 };
	struct realm_last last;
	long before;

	ioctl(fd, REALM_INIT_RIPAS, &ram);
	check(ram.base == RAM + RAM_SIZE, "INIT_RIPAS tells how far it got");
	before = counter("granules");
	check(refused(fd, REALM_DATA, &data, EFAULT), "a source that is not mapped is refused");
	data.source = (uint64_t)payload;
	data.flags = 4;
	check(refused(fd, REALM_DATA, &data, EINVAL), "unknown flags are refused");
	check(counter("granules") == before, "refusals cost no granules");
	data.flags = 0;
	check(ioctl(fd, REALM_DATA, &data) == 0 && data.size == 0 && data.ipa == RAM + PAGE, "DATA moves on");
	data = (struct realm_data){ .ipa = RAM, .source = (uint64_t)payload, .size = PAGE };
	check(refused(fd, REALM_DATA, &data, EPROTO), "a second page at the same place is refused by the RMM");
	check(ioctl(fd, REALM_LAST, &last) == 0 && last.command == 0xc4000153 && last.status == (4 | 3 << 8),
	      "LAST says DATA_CREATE and level 3");
	check(refused(fd, REALM_SHARE, &share, EINVAL), "sharing in the Protected half is refused");
	share.ipa = ALIAS + RAM;
	share.source = 0x1000;
	check(refused(fd, REALM_SHARE, &share, EFAULT), "sharing what is not mapped is refused");
	share.source = (uint64_t)payload;
	check(refused(fd, REALM_SHARE, &share, EFAULT), "sharing read-only memory is refused");
	check(refused(fd, REALM_SET_RIPAS, &ripas, EINVAL), "SET_RIPAS for a REC that is not there is refused");
	check(refused(fd, REALM_REC_CREATE, &rec, EINVAL), "unknown REC flags are refused");
	rec.flags = 0;
	rec.mpidr = 5;
	check(refused(fd, REALM_REC_CREATE, &rec, EPROTO), "an MPIDR out of order is refused by the RMM");
	check(mmap(NULL, REALM_REC_SIZE, PROT_READ, MAP_SHARED, fd, REALM_REC_OFFSET(9)) == MAP_FAILED, "mapping a REC that is not there is refused");
	close(fd);
	check(counter("granules") == 0 && counter("leaked") == 0, "closing gives everything back");
}

static void check_life(void)
{
	struct machine machine = make_machine();
	uint64_t *shared = aligned_alloc(PAGE, PAGE);
	struct realm_range page = { FREE_PAGE, FREE_PAGE + PAGE }, alias = { ALIAS + RAM, ALIAS + RAM + PAGE };
	struct realm_share share = { .ipa = ALIAS + RAM, .source = (uint64_t)shared, .size = PAGE };
	struct realm_ripas ripas = { .ripas = 0 };
	long before;

	memset(shared, 0, PAGE);
	check(enter(&machine) == EXIT_CALL && machine.run->imm == PAYLOAD_IMM, "the realm calls the host");
	check(order(&machine, ORDER_STORE, FREE_PAGE, 0x1234) == EXIT_SYNC &&
	      machine.run->hpfar >> 4 << 12 == FREE_PAGE, "a page that is absent makes it exit");
	check(ioctl(machine.fd, REALM_POPULATE, &page) == 0 && enter(&machine) == EXIT_CALL, "populated, it goes on");
	check(order(&machine, ORDER_LOAD, FREE_PAGE, 0) == EXIT_CALL && machine.run->gprs[0] == 0x1234, "and reads what it wrote");
	check(order(&machine, ORDER_STORE, ALIAS + RAM, 0x77) == EXIT_SYNC, "so does a shared page that is absent");
	check(ioctl(machine.fd, REALM_SHARE, &share) == 0 && enter(&machine) == EXIT_CALL && shared[0] == 0x77, "shared, the write arrives");
	shared[1] = 0x88;
	check(order(&machine, ORDER_LOAD, ALIAS + RAM + 8, 0) == EXIT_CALL && machine.run->gprs[0] == 0x88, "and the other way round");
	check(ioctl(machine.fd, REALM_UNSHARE, &alias) == 0 && order(&machine, ORDER_LOAD, ALIAS + RAM, 0) == EXIT_SYNC, "unshared, it is absent again");
	share = (struct realm_share){ .ipa = ALIAS + RAM, .source = (uint64_t)shared, .size = PAGE };
	ioctl(machine.fd, REALM_SHARE, &share);
	check(enter(&machine) == EXIT_CALL, "shared again, it goes on");
	before = counter("granules");
	check(order(&machine, ORDER_EMPTY, FREE_PAGE, 0) == EXIT_RIPAS && machine.run->ripas_base == FREE_PAGE, "giving a page up asks the host");
	ripas.base = machine.run->ripas_base;
	ripas.top = machine.run->ripas_top;
	check(ioctl(machine.fd, REALM_SET_RIPAS, &ripas) == 0 && ripas.base == FREE_PAGE + PAGE, "SET_RIPAS tells how far it got");
	check(counter("granules") == before - 1, "the page is the host's again");
	check(enter(&machine) == EXIT_CALL && machine.run->gprs[0] == 0, "the realm learns of it");
	machine.control->immediate_exit = 1;
	check(order(&machine, ORDER_NOTHING, 0, 0) == -EINTR, "immediate_exit");
	machine.control->immediate_exit = 0;
	check(order(&machine, ORDER_OFF, 0, 0) == EXIT_PSCI, "SYSTEM_OFF");
	check(enter(&machine) == -ESHUTDOWN, "and nothing after it");
	close_machine(&machine);
	free(shared);
	check(counter("granules") == 0 && counter("leaked") == 0, "closing gives everything back");
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void *enter_for_ever(void *argument)
{
	struct machine *machine = argument;

	return (void *)(intptr_t)enter(machine);
}

static void check_signals(void)
{
	struct itimerval timer = { .it_value = { .tv_usec = 100000 } };
	struct machine machine = make_machine();
	pthread_t thread;
	void *result;

	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_alarm }, NULL);
	enter(&machine);
	machine.run->enter_gprs[0] = ORDER_SPIN;
	setitimer(ITIMER_REAL, &timer, NULL);
	check(ioctl(machine.fd, REALM_REC_ENTER, 0) == 0 && machine.run->reason == EXIT_IRQ, "a signal gets a spinning realm out");
	machine.run->flags = 0;
	pthread_create(&thread, NULL, enter_for_ever, &machine);
	while (machine.control->entries < 20)
		usleep(1000);
	check(refused(machine.fd, REALM_REC_ENTER, NULL, EBUSY), "a REC that runs cannot be entered");
	check(machine.control->interrupts > 0, "interrupts of the host are not the VMM's business");
	machine.control->immediate_exit = 1;
	pthread_join(thread, &result);
	check((intptr_t)result == -EINTR, "immediate_exit gets it out");
	close_machine(&machine);
	check(counter("granules") == 0 && counter("leaked") == 0, "closing gives everything back");
}

/* What a child that reads a page through /dev/mem ends with: the signal, or 0 and the word in *word. */
static int read_page(uint64_t address, uint64_t *word)
{
	int mem, status, ends[2];
	volatile uint64_t *page;
	pid_t child;

	if (pipe(ends) < 0)
		bail("pipe");
	child = fork();
	if (child == 0) {
		uint64_t value;

		mem = open("/dev/mem", O_RDONLY | O_SYNC);
		page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, mem, (off_t)address);
		if (page == MAP_FAILED)
			_exit(3);
		value = *page;
		_exit(write(ends[1], &value, sizeof(value)) == sizeof(value) ? 0 : 3);
	}
	close(ends[1]);
	if (waitpid(child, &status, 0) < 0 || (!WIFSIGNALED(status) && WEXITSTATUS(status) != 0))
		bail("reading a page");
	*word = 0;
	if (read(ends[0], word, sizeof(*word)) < 0)
		bail("pipe");
	close(ends[0]);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void check_host_read(void)
{
	struct machine machine = make_machine();
	unsigned int pages = 0, faulted = 0;
	uint64_t address, word = 0;
	FILE *list;

	enter(&machine);
	list = fopen("/sys/kernel/debug/realm/pages", "r");
	if (list == NULL)
		bail("debugfs");
	while (fscanf(list, "%lx", &address) == 1) {
		pages++;
		faulted += read_page(address, &word) != 0 && word == 0;
	}
	fclose(list);
	check(pages == counter("granules") && pages > 3, "the driver lists every granule");
	check(faulted == pages, "a host that reads them gets a fault and nothing else (%u of %u)", faulted, pages);
	check(order(&machine, ORDER_NOTHING, 0, 0) == EXIT_CALL, "the realm has noticed nothing");
	close_machine(&machine);
}

/* More than there can be: a clear word, and everything is given back. */
static void check_limits(void)
{
	struct realm_create create = { .ipa_bits = IPA_BITS };
	struct realm_rec_create rec = { .mpidr = 0 };
	int realms[256], count, extra, fd = open_realm(), error;
	uint64_t i;

	for (i = 0; i < 33; i++) {
		rec.mpidr = (i & 15) | i >> 4 << 8;
		if (ioctl(fd, REALM_REC_CREATE, &rec) != (int)i)
			break;
	}
	check(i == 32 && errno == ENOSPC, "a realm has 32 RECs (%llu)", (unsigned long long)i);
	close(fd);
	for (count = 0; count < 256; count++) {
		realms[count] = open("/dev/realm", O_RDWR | O_CLOEXEC);
		if (ioctl(realms[count], REALM_CREATE, &create) < 0)
			break;
	}
	error = errno;
	check(count == 255 && error == ENOSPC, "there are 255 realms at once (%d)", count);
	extra = realms[count];
	close(realms[7]);
	check(ioctl(extra, REALM_CREATE, &create) == 0, "the end of one makes room for another");
	for (i = 0; i <= 255; i++)
		if (i != 7)
			close(realms[i]);
	check(counter("granules") == 0 && counter("leaked") == 0, "closing gives everything back");
}

/* What a realm gave up, it can have again: another page, without what was in it. */
static void check_ripas(void)
{
	struct machine machine = make_machine();
	struct realm_range page = { FREE_PAGE, FREE_PAGE + PAGE }, alias = { ALIAS + FREE_PAGE, ALIAS + FREE_PAGE + PAGE };
	struct realm_ripas ripas = { .ripas = 0, .base = FREE_PAGE, .top = FREE_PAGE + PAGE };
	uint64_t *shared = aligned_alloc(PAGE, PAGE);
	struct realm_share share = { .ipa = ALIAS + FREE_PAGE, .source = (uint64_t)shared, .size = PAGE };
	long before = counter("granules");

	memset(shared, 0, PAGE);
	enter(&machine);
	/* The host's count of what is the realm's: before and after, without the tables that sharing takes. */
	ioctl(machine.fd, REALM_POPULATE, &page);
	check(order(&machine, ORDER_STORE, FREE_PAGE, 0x5ec2e7) == EXIT_CALL, "a page of the realm's own");
	check(order(&machine, ORDER_EMPTY, FREE_PAGE, 0) == EXIT_RIPAS && ioctl(machine.fd, REALM_SET_RIPAS, &ripas) == 0 &&
	      enter(&machine) == EXIT_CALL && counter("granules") == before, "is given up, and the host has its memory");
	check(ioctl(machine.fd, REALM_SHARE, &share) == 0 &&
	      order(&machine, ORDER_STORE, ALIAS + FREE_PAGE, 0x77) == EXIT_CALL && shared[0] == 0x77, "and shared in its place");
	check(order(&machine, ORDER_RAM, FREE_PAGE, 0) == EXIT_RIPAS && machine.run->ripas == 1, "wanted back");
	check(ioctl(machine.fd, REALM_UNSHARE, &alias) == 0, "the shared one is taken back");
	before = counter("granules");
	ripas = (struct realm_ripas){ .ripas = 1, .base = FREE_PAGE, .top = FREE_PAGE + PAGE };
	check(ioctl(machine.fd, REALM_SET_RIPAS, &ripas) == 0 && ripas.base == FREE_PAGE + PAGE &&
	      enter(&machine) == EXIT_CALL && machine.run->gprs[0] == 0, "it is RAM again");
	page.base = FREE_PAGE;
	check(order(&machine, ORDER_LOAD, FREE_PAGE, 0) == EXIT_SYNC && ioctl(machine.fd, REALM_POPULATE, &page) == 0 &&
	      enter(&machine) == EXIT_CALL && machine.run->gprs[0] == 0, "a new page without the old content");
	check(counter("granules") == before + 1, "and one granule");
	close_machine(&machine);
	free(shared);
	check(counter("granules") == 0 && counter("leaked") == 0, "closing gives everything back");
}

static void hold(void)
{
	struct machine machine = make_machine();

	enter(&machine);
	order(&machine, ORDER_SPIN, 0, 0);
}

/* Kill a VMM at random moments from its first instruction on; the driver must end up with nothing. */
static void check_kills(void)
{
	unsigned int i, left = 0;
	pid_t child;

	srand(1);
	for (i = 0; i < 20; i++) {
		child = fork();
		if (child == 0) {
			hold();
			_exit(0);
		}
		usleep((unsigned int)rand() % 20000);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		left += counter("granules") != 0;
	}
	check(left == 0 && counter("leaked") == 0, "20 kills leave nothing behind (%u did)", left);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "hold") == 0) {
		hold();
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "idle") == 0) {
		(void)make_machine();
		pause();
		return 0;
	}
	if (argc == 4 && strcmp(argv[1], "fuzz") == 0)
		return fuzz(strtoull(argv[2], NULL, 0), strtoul(argv[3], NULL, 0));
	check_before_creation();
	check_ranges();
	check_data();
	check_life();
	check_ripas();
	check_limits();
	check_signals();
	check_host_read();
	check_kills();
	printf("1..%u\n", checks);
	return 0;
}

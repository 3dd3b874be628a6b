// SPDX-License-Identifier: Apache-2.0
/*
 * resume: what the build computer says to the emulated host without the network, by
 * records on the virtio-serial port `orch.resume`; each is answered by one line, "ok"
 * or "error: ...".
 *
 * Resume: make a restored snapshot a machine of its own. Two machines restored from one
 * snapshot hold the same random-number state and a clock that stood still. The record
 * comes before anything logs in; this agent sets the clock, credits the seed, and
 * forces the kernel to draw a new key from it.
 *
 * Go: hand the line "go" to whoever reads the FIFO /run/go. A measurement that is to
 * start without a packet on any network waits there.
 *
 * It serves records until it is killed; the host may close and reopen its side at any
 * time, a record that was cut off is dropped.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/random.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PORT_NAME "orch.resume"
#define REARM "/sys/module/rearm/parameters/now" /* guest/host/rearm */
#define PORT_CLASS "/sys/class/virtio-ports"
#define SEED_BYTES 64
#define GO_FIFO "/run/go"

/* What the host sends; integers are little-endian. Behind the magic of a go there are only zeros. */
struct record {
	char magic[8];
	uint64_t seconds;
	uint64_t nanoseconds;
	uint8_t seed[SEED_BYTES];
};

_Static_assert(sizeof(struct record) == 88, "the host sends 88 bytes");

static const char resume_magic[8] = { 'O', 'R', 'C', 'H', 'R', 'S', 'M', '1' };
static const char go_magic[8] = { 'O', 'R', 'C', 'H', 'G', 'O', '_', '1' };

/* Put the device path of the port called PORT_NAME into `path`; false if there is none. */
static bool find_port(char *path, size_t size)
{
	DIR *ports = opendir(PORT_CLASS);
	struct dirent *entry;
	bool found = false;

	if (!ports)
		return false;
	while (!found && (entry = readdir(ports))) {
		char file[sizeof(PORT_CLASS) + sizeof(entry->d_name) + sizeof("//name")];
		char name[64] = "";
		FILE *stream;

		snprintf(file, sizeof(file), PORT_CLASS "/%s/name", entry->d_name);
		stream = fopen(file, "re");
		if (!stream)
			continue;
		if (fgets(name, sizeof(name), stream))
			name[strcspn(name, "\n")] = '\0';
		fclose(stream);
		if (!strcmp(name, PORT_NAME)) {
			snprintf(path, size, "/dev/%s", entry->d_name);
			found = true;
		}
	}
	closedir(ports);
	return found;
}

/* Mix the seed into the kernel's pool with full credit, then make the output generator take a new key from it. */
static const char *reseed(const uint8_t *seed)
{
	struct {
		struct rand_pool_info info;
		uint8_t bytes[SEED_BYTES];
	} pool = { .info = { .entropy_count = 8 * SEED_BYTES, .buf_size = SEED_BYTES } };
	const char *failed = NULL;
	int device = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

	if (device < 0)
		return "open /dev/urandom";
	memcpy(pool.bytes, seed, SEED_BYTES);
	if (ioctl(device, RNDADDENTROPY, &pool))
		failed = "RNDADDENTROPY";
	else if (ioctl(device, RNDRESEEDCRNG))
		failed = "RNDRESEEDCRNG";
	explicit_bzero(&pool, sizeof(pool));
	close(device);
	return failed;
}

/* A restored CPU's timer does not run until it is armed again, and until then the CPU does not sleep nor wake. */
static int rearm_timers(void)
{
	int trigger = open(REARM, O_WRONLY | O_CLOEXEC);
	ssize_t written;

	if (trigger < 0)
		return -1;
	written = write(trigger, "1", 1);
	close(trigger);
	return written == 1 ? 0 : -1;
}

/* Let the reader of the FIFO go; returns as apply() does. */
static const char *go(void)
{
	static const char line[] = "go\n";
	const ssize_t size = sizeof(line) - 1;
	/* Without O_NONBLOCK this would wait for a reader, with it it fails if there is none. */
	int fifo = open(GO_FIFO, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat file;
	bool told;

	if (fifo < 0) {
		if (errno == ENXIO || errno == ENOENT)
			errno = 0;
		return errno ? GO_FIFO : "nobody waits";
	}
	told = !fstat(fifo, &file) && S_ISFIFO(file.st_mode) && write(fifo, line, (size_t)size) == size;
	close(fifo);
	errno = 0;
	return told ? NULL : "nobody waits";
}

/* Set clock and randomness; returns as apply() does. */
static const char *resume(const struct record *record)
{
	struct timespec now = {
		.tv_sec = (time_t)le64toh(record->seconds),
		.tv_nsec = (long)le64toh(record->nanoseconds),
	};

	if (le64toh(record->nanoseconds) >= 1000000000)
		return "nanoseconds out of range";
	if (rearm_timers())
		return REARM;
	errno = 0;
	if (clock_settime(CLOCK_REALTIME, &now))
		return "clock_settime";
	return reseed(record->seed);
}

/* Do as one record says; returns NULL, or what failed (errno tells why, 0 if the text alone does). */
static const char *apply(const struct record *record)
{
	errno = 0;
	if (!memcmp(record->magic, resume_magic, sizeof(resume_magic)))
		return resume(record);
	if (!memcmp(record->magic, go_magic, sizeof(go_magic)))
		return go();
	return "unknown record";
}

/*
 * Answer with one line. A record may be here before the driver has been told that the host opened its side, and
 * until then nothing can be sent: wait for that notice. If none comes the host has gone away; the answer is
 * dropped, else it would reach whoever connects next.
 */
static void answer(int port, const sigset_t *sigio, const char *failed)
{
	const struct timespec patience = { .tv_sec = 1 };
	char line[128] = "ok\n";

	if (failed)
		snprintf(line, sizeof(line), "error: %s%s%s\n", failed, errno ? ": " : "", errno ? strerror(errno) : "");
	while (write(port, line, strlen(line)) < 0 && errno == EAGAIN)
		if (sigtimedwait(sigio, NULL, &patience) < 0 && errno == EAGAIN)
			return;
}

/* Open the port as soon as there is one. Ports appear some time after the driver: kernel events tell when to look. */
static int open_port(void)
{
	struct sockaddr_nl kernel_events = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int events = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	char path[PATH_MAX], event[4096];
	int port = -1;

	if (events < 0 || bind(events, (struct sockaddr *)&kernel_events, sizeof(kernel_events)))
		return -1;
	while (!find_port(path, sizeof(path)))
		if (recv(events, event, sizeof(event), 0) < 0 && errno != ENOBUFS && errno != EINTR)
			goto out;
	port = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	/* The driver sends SIGIO when the host opens its side: the one event for which poll() has no bit. */
	if (port >= 0 && (fcntl(port, F_SETOWN, getpid()) ||
			  fcntl(port, F_SETFL, O_NONBLOCK | O_ASYNC))) {
		close(port);
		port = -1;
	}
out:
	close(events);
	return port;
}

/* Fill one record; false if the port is gone. What came before the host closed its side is dropped. */
static bool receive(int port, const sigset_t *sigio, struct record *record)
{
	size_t have = 0;

	while (have < sizeof(*record)) {
		ssize_t got = read(port, (char *)record + have, sizeof(*record) - have);

		if (got > 0) {
			have += (size_t)got;
		} else if (got == 0) {
			have = 0;
			sigwaitinfo(sigio, NULL);
		} else if (errno == EAGAIN) {
			struct pollfd data = { .fd = port, .events = POLLIN };

			poll(&data, 1, -1);
		} else if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

int main(void)
{
	struct record record;
	sigset_t sigio;
	int port;

	sigemptyset(&sigio);
	sigaddset(&sigio, SIGIO);
	sigprocmask(SIG_BLOCK, &sigio, NULL);
	signal(SIGPIPE, SIG_IGN); /* a reader of the FIFO may be gone before the line is written */
	port = open_port();
	if (port < 0) {
		perror("resume: port " PORT_NAME);
		return 1;
	}
	while (receive(port, &sigio, &record)) {
		answer(port, &sigio, apply(&record));
		explicit_bzero(&record, sizeof(record));
	}
	perror("resume: read");
	return 1;
}

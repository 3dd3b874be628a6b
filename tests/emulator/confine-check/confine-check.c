/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Confines itself with the VMM's own confine.c, once for each thing that a guest must not be able to do from there, and does
 * it. TAP on stdout; run by root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "error.h"
#include "gate.h"

#define FOLDER  "/tmp/confine-check.d"
#define NOBODY  65534
#define REQUEST 0xae7fUL /* of ioctl; allowed, and nobody has it */

static const unsigned long requests[] = { REQUEST, 0 };
static int folder = -1, outside = -1, terminal = -1;
static struct gate gate;
static unsigned int checks;

static void check(int good, const char *format, ...)
{
	va_list list;

	printf("%sok %u - ", good ? "" : "not ", ++checks);
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	printf("\n");
	fflush(stdout);
}

static void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- What must not be ------------------------------------------------------------------------------------------ */

static void use(long result)
{
	(void)result;
}

static void a_socket(void) { use(socket(AF_INET, SOCK_STREAM, 0)); }
static void a_child(void) { use(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }
static void *nothing(void *argument)
{
	return argument;
}

static void a_thread(void)
{
	pthread_t thread;

	(void)pthread_create(&thread, NULL, nothing, NULL);
}
static void a_program(void) { use(execl("/bin/sh", "sh", NULL)); }
static void another_file(void) { use(open("/exit", O_WRONLY | O_CREAT, 0644)); }
static void another_folder(void) { use(openat(outside, "x", O_WRONLY | O_CREAT, 0644)); }
static void a_file_to_read(void) { use(openat(folder, "exit", O_RDONLY)); }
static void a_rename_out(void) { use(renameat(folder, "here", outside, "there")); }
static void a_removal_outside(void) { use(unlinkat(outside, "x", 0)); }
static void code(void) { use((long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)); }
static void code_later(void) { use(mprotect(&gate, 1, PROT_READ | PROT_WRITE | PROT_EXEC)); }
static void a_mapped_file(void) { use((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, outside, 0)); }
static void a_trace(void) { use(ptrace(PTRACE_ATTACH, 1, 0, 0)); }
static void another_process(void) { use(syscall(SYS_tgkill, 1, 1, SIGTERM)); }
static void a_signal(void) { use(syscall(SYS_kill, getpid(), SIGTERM)); }
static void a_terminal(void) { char termios[256]; use(ioctl(terminal, 0x5401, termios)); }
static void an_interface(void) { use(ioctl(outside, TUNSETOFFLOAD, 0)); }
static void a_long_request(void) { use(syscall(SYS_ioctl, outside, REQUEST | (1UL << 32), 0)); }
static void root(void) { use(syscall(SYS_setuid, 0)); }
static void a_privilege(void) { use(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }
static void another_filter(void) { use(syscall(SYS_seccomp, 0, 0, NULL)); }
static void a_letter(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	use(sendto(outside, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)));
}
static void a_uring(void) { use(syscall(SYS_io_uring_setup, 1, NULL)); }
static void a_bpf(void) { use(syscall(SYS_bpf, 0, NULL, 0)); }
static void a_futex_of_priorities(void) { int word = 0; use(syscall(SYS_futex, &word, 6, 0, NULL, NULL, 0)); }

static const struct deed {
	const char *name;
	void (*act)(void);
	long call;
} deeds[] = {
	{ "a socket", a_socket, SYS_socket }, { "a child", a_child, SYS_clone }, { "a program", a_program, SYS_execve },
	{ "a file by its path", another_file, SYS_openat }, { "a file of another folder", another_folder, SYS_openat },
	{ "a file to read", a_file_to_read, SYS_openat }, { "a rename out of the folder", a_rename_out, SYS_renameat },
	{ "a removal elsewhere", a_removal_outside, SYS_unlinkat }, { "executable memory", code, SYS_mmap },
	{ "memory made executable", code_later, SYS_mprotect }, { "a mapped file", a_mapped_file, SYS_mmap },
	{ "tracing the first process", a_trace, SYS_ptrace }, { "a signal to another process", another_process, SYS_tgkill },
	{ "kill", a_signal, SYS_kill }, { "a terminal's settings", a_terminal, SYS_ioctl },
	{ "an interface's settings without one", an_interface, SYS_ioctl },
	{ "a request with an upper half", a_long_request, SYS_ioctl }, { "the way back to root", root, SYS_setuid },
	{ "a process control", a_privilege, SYS_prctl }, { "a filter of its own", another_filter, SYS_seccomp },
	{ "a datagram to somebody", a_letter, SYS_sendto }, { "io_uring", a_uring, SYS_io_uring_setup },
	{ "bpf", a_bpf, SYS_bpf }, { "a futex that lends priority", a_futex_of_priorities, SYS_futex },
};

/* ---- Doing it ---------------------------------------------------------------------------------------------------- */

static void *stand_by(void *argument)
{
	void (*act)(void) = *(void (**)(void))argument;

	gate_pass(&gate);
	if (act != NULL)
		act();
	return NULL;
}

/* The child: confine, then act in the thread that was there before, or here. */
static void misbehave(void (*act)(void), int in_thread, int tap)
{
	const struct confine confine = { .dir = folder, .requests = requests, .tap = tap != 0 };
	void (*of_thread)(void) = in_thread ? act : NULL;
	pthread_t thread;

	gate_init(&gate);
	if (confine_privileges(&confine, 4096) < 0 || pthread_create(&thread, NULL, stand_by, &of_thread) != 0) {
		dprintf(2, "%s\n", failure());
		_exit(9);
	}
	gate_await(&gate, 1);
	if (confine_calls(&confine) < 0) {
		dprintf(2, "%s\n", failure());
		_exit(9);
	}
	gate_open(&gate);
	if (!in_thread)
		act();
	pthread_join(thread, NULL);
	_exit(0);
}

static void read_word(char *text, size_t size)
{
	int fd = openat(folder, "exit", O_RDONLY);
	ssize_t count = fd < 0 ? 0 : read(fd, text, size - 1);

	text[count < 0 ? 0 : count] = '\0';
	if (fd >= 0)
		close(fd);
	unlinkat(folder, "exit", 0);
}

/* How the child ended (its exit code, or 1000 and the signal); `text` is what it left. */
static int ended(void (*act)(void), int in_thread, int tap, char *text, size_t size)
{
	int status, fd;
	pid_t child;

	fd = openat(folder, "console.sock", O_WRONLY | O_CREAT, 0600);
	close(fd);
	child = fork();
	if (child < 0)
		bail("fork");
	if (child == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 2);
		misbehave(act, in_thread, tap);
	}
	if (waitpid(child, &status, 0) < 0)
		bail("waitpid");
	read_word(text, size);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void check_deeds(void)
{
	char text[256], expected[64];
	unsigned int i;
	int thread, code;

	for (i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		for (thread = 0; thread < 2; thread++) {
			code = ended(deeds[i].act, thread, 0, text, sizeof(text));
			snprintf(expected, sizeof(expected), "error: system call %ld refused", deeds[i].call);
			check(code == 1 && strncmp(text, expected, strlen(expected)) == 0 &&
			      faccessat(folder, "console.sock", F_OK, 0) < 0,
			      "%s%s: ends with code %d, \"%s\"", deeds[i].name, thread ? " in another thread" : "", code,
			      strtok(text, "\n") != NULL ? text : "");
		}
	}
	/* The C library blocks all signals around it: the kernel ends the process, and nobody can say why. */
	code = ended(a_thread, 0, 0, text, sizeof(text));
	check(code == 1000 + SIGSYS && text[0] == '\0', "a new thread: ends with code %d", code);
	code = ended(an_interface, 0, 1, text, sizeof(text));
	check(code == 0 && text[0] == '\0', "an interface's settings with one are allowed (%d)", code);
}

/* ---- What must be ------------------------------------------------------------------------------------------------ */

static int failed;

static void must(int good, int line)
{
	if (!good && failed == 0)
		failed = line;
}
#define MUST(condition) must((condition) != 0, __LINE__)

static void allowed(void)
{
	int fd = openat(folder, "a.tmp", O_WRONLY | O_CREAT | O_TRUNC, 0644), i;
	char *memory;
	FILE *stream;
	size_t size;

	stream = fdopen(fd, "w");
	MUST(stream != NULL && fprintf(stream, "text\n") == 5 && fclose(stream) == 0);
	MUST(renameat(folder, "a.tmp", folder, "a") == 0);
	MUST(unlinkat(folder, "a", 0) == 0);
	MUST(unlinkat(folder, "nothing", 0) < 0 && errno == ENOENT);
	stream = open_memstream(&memory, &size);
	for (i = 0; i < 300000; i++)
		MUST(fputc('x', stream) == 'x');
	MUST(fclose(stream) == 0 && size == 300000);
	free(memory);
	MUST(poll(NULL, 0, 1) == 0);
	MUST(pthread_kill(pthread_self(), 0) == 0);
	MUST(ioctl(outside, REQUEST, 0) < 0 && errno == ENOTTY);
	if (failed != 0)
		_exit(failed % 200 + 20);
}

static void check_allowed(void)
{
	char text[256];
	int thread, code;

	for (thread = 0; thread < 2; thread++) {
		code = ended(allowed, thread, 0, text, sizeof(text));
		check(code == 0 && text[0] == '\0', "what a VMM does goes through (%d, \"%s\")", code, text);
	}
}

/* ---- Privileges --------------------------------------------------------------------------------------------------- */

static int has_line(const char *status, const char *name, const char *value)
{
	const char *line = strstr(status, name);
	size_t length = strlen(value);

	if (line == NULL)
		return 0;
	line += strlen(name);
	line += strspn(line, "\t ");
	return strncmp(line, value, length) == 0 && line[length] == '\n';
}

/* Without the filter: the kernel alone must refuse. */
static void without_privileges(int status)
{
	const struct confine confine = { .dir = folder, .requests = requests };
	char text[4096];
	ssize_t count;

	if (confine_privileges(&confine, 4096) < 0)
		_exit(9);
	count = pread(status, text, sizeof(text) - 1, 0);
	text[count < 0 ? 0 : count] = '\0';
	MUST(has_line(text, "\nUid:", "65534\t65534\t65534\t65534") && has_line(text, "\nGid:", "65534\t65534\t65534\t65534"));
	MUST(has_line(text, "\nGroups:", ""));
	MUST(has_line(text, "\nCapPrm:", "0000000000000000") && has_line(text, "\nCapEff:", "0000000000000000"));
	MUST(has_line(text, "\nCapInh:", "0000000000000000") && has_line(text, "\nCapBnd:", "0000000000000000"));
	MUST(has_line(text, "\nNoNewPrivs:", "1"));
	MUST(setuid(0) < 0 && setgid(0) < 0 && setgroups(0, NULL) < 0);
	MUST(access("/proc", F_OK) < 0 && access("/exit", F_OK) == 0 && access("/../../exit", F_OK) == 0);
	MUST(chroot(".") < 0 && kill(getppid(), 0) < 0 && errno == EPERM);
	MUST(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	MUST(mlock(text, sizeof(text)) < 0); /* more than a page */
	_exit(failed % 200);
}

static void check_privileges(void)
{
	pid_t child;
	int status;

	close(openat(folder, "exit", O_WRONLY | O_CREAT, 0644));
	child = fork();
	if (child < 0)
		bail("fork");
	if (child == 0)
		without_privileges(open("/proc/self/status", O_RDONLY));
	if (waitpid(child, &status, 0) < 0)
		bail("waitpid");
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "no privileges are left (%#x)", status);
	unlinkat(folder, "exit", 0);
}

int main(void)
{
	if (mkdir(FOLDER, 0755) < 0 && errno != EEXIST)
		bail(FOLDER);
	folder = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	outside = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	terminal = open("/dev/ptmx", O_RDWR | O_CLOEXEC);
	if (folder < 0 || outside < 0 || terminal < 0)
		bail("descriptors");
	check_privileges();
	check_allowed();
	check_deeds();
	printf("1..%u\n", checks);
	return 0;
}

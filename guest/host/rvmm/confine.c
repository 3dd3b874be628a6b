/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <unistd.h>

#include "error.h"

#define NOBODY 65534U

/* ---- Privileges --------------------------------------------------------------------------------------------- */

/* What is there of the file system is the run folder; it stays writable, for statistics and last words. */
static int enter_folder(int dir)
{
	if (fchown(dir, NOBODY, NOBODY) < 0 || fchdir(dir) < 0 || chroot(".") < 0)
		return fail_errno("confinement: run folder");
	return 0;
}

/* Beyond the last capability of this kernel there is EINVAL. */
static int drop_bounds(void)
{
	unsigned long capability;

	for (capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			return fail_errno("confinement: capability %lu", capability);
	return 0;
}

static int become_nobody(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return fail_errno("confinement: user %u", NOBODY);
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || syscall(SYS_capset, &header, none) < 0)
		return fail_errno("confinement: capabilities");
	return 0;
}

/* No guest's memory in a dump, whoever asks for one; and no debugger but root's. */
static int limit_resources(uint64_t pinned_bytes)
{
	const struct rlimit no_core = { .rlim_cur = 0, .rlim_max = 0 };
	const struct rlimit pinned = { .rlim_cur = pinned_bytes, .rlim_max = pinned_bytes };

	if (setrlimit(RLIMIT_CORE, &no_core) < 0 || (getuid() == 0 && setrlimit(RLIMIT_MEMLOCK, &pinned) < 0))
		return fail_errno("confinement: limits");
	return 0;
}

int confine_privileges(const struct confine *confine, uint64_t pinned_bytes)
{
	if (limit_resources(pinned_bytes) < 0)
		return -1;
	if (getuid() == 0 && (enter_folder(confine->dir) < 0 || drop_bounds() < 0 || become_nobody() < 0))
		return -1;
	if (drop_capabilities() < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return fail_errno("confinement: no new privileges");
	return 0;
}

/* ---- Last words --------------------------------------------------------------------------------------------- */

static int refused_dir = -1;

static size_t append(char *text, size_t used, const char *more)
{
	size_t count = strlen(more);

	memcpy(text + used, more, count);
	return used + count;
}

/* snprintf() is not for signal handlers. */
static size_t append_number(char *text, size_t used, unsigned long long value, unsigned int base)
{
	char digits[24];
	size_t first = sizeof(digits) - 1;

	digits[first] = '\0';
	do {
		digits[--first] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	return append(text, used, digits + first);
}

static void write_all(int fd, const char *text, size_t size)
{
	/* There is nobody left to tell of a failure. */
	if (write(fd, text, size) < 0)
		return;
}

/*
 * A thread did what the filter refuses: the guest has found a hole, or we forgot something. Say so and be gone, without
 * locks and without running anything of the program again. If this is refused too, the kernel ends the process, since
 * the signal is blocked here.
 */
static void take_refusal(int number, siginfo_t *info, void *context)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;
	const ucontext_t *machine = context;
	char text[160];
	size_t size;
	int fd;

	(void)number;
	while (atomic_flag_test_and_set(&told))
		(void)poll(NULL, 0, -1); /* another thread is at it */
	size = append(text, 0, "error: system call ");
	size = append_number(text, size, (unsigned int)info->si_syscall, 10);
	size = append(text, size, " refused (arguments 0x");
	/* The first is in x0, which the kernel has restored. */
	size = append_number(text, size, machine->uc_mcontext.regs[0], 16);
	size = append(text, size, ", 0x");
	size = append_number(text, size, machine->uc_mcontext.regs[1], 16);
	size = append(text, size, ")\n");
	fd = openat(refused_dir, "exit.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd >= 0) {
		write_all(fd, text, size);
		(void)close(fd);
		(void)renameat(refused_dir, "exit.tmp", refused_dir, "exit");
	}
	(void)unlinkat(refused_dir, "console.sock", 0);
	write_all(STDERR_FILENO, text, size);
	_exit(1);
}

/* ---- System calls ------------------------------------------------------------------------------------------- */

/* Files are known by descriptors that are open already; memory is never executable; nothing starts or asks others. */
static const int always[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(lseek),
	SCMP_SYS(preadv), SCMP_SYS(pwritev), SCMP_SYS(fdatasync), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(ppoll),
	SCMP_SYS(accept4), SCMP_SYS(timerfd_settime), SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigpending), SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

/* Calls with conditions; a call has several rules if it is allowed in several ways. `mask` makes an int of an argument,
 * whose upper half is anything. */
#define INT UINT32_MAX
#define ALL UINT64_MAX
#define FUTEX_COMMAND (INT - FUTEX_PRIVATE_FLAG - FUTEX_CLOCK_REALTIME)

struct rule {
	int call;
	unsigned int count;
	struct scmp_arg_cmp conditions[2];
};

#define WHEN(argument, mask, value) SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, mask, value)

static const struct rule rules[] = {
	{ SCMP_SYS(newfstatat), 1, { WHEN(3, INT, AT_EMPTY_PATH) } },
	{ SCMP_SYS(fcntl), 1, { WHEN(1, INT, F_GETFL) } },
	{ SCMP_SYS(mmap), 2, { WHEN(2, PROT_EXEC, 0), WHEN(3, MAP_ANONYMOUS, MAP_ANONYMOUS) } },
	{ SCMP_SYS(mprotect), 1, { WHEN(2, PROT_EXEC, 0) } },
	{ SCMP_SYS(madvise), 1, { WHEN(2, INT, MADV_DONTNEED) } },
	/* Connected sockets only, those of the console's clients. */
	{ SCMP_SYS(sendto), 1, { WHEN(4, ALL, 0) } },
	{ SCMP_SYS(recvfrom), 1, { WHEN(4, ALL, 0) } },
	{ SCMP_SYS(setsockopt), 2, { WHEN(1, INT, SOL_SOCKET), WHEN(2, INT, SO_SNDBUF) } },
	{ SCMP_SYS(futex), 1, { WHEN(1, FUTEX_COMMAND, FUTEX_WAIT) } },
	{ SCMP_SYS(futex), 1, { WHEN(1, FUTEX_COMMAND, FUTEX_WAKE) } },
	{ SCMP_SYS(futex), 1, { WHEN(1, FUTEX_COMMAND, FUTEX_WAIT_BITSET) } },
	/* malloc() asks how many CPUs there are when a second thread comes. */
	{ SCMP_SYS(sched_getaffinity), 1, { WHEN(0, INT, 0) } },
};

static int allow(scmp_filter_ctx filter, const struct rule *rule)
{
	int error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, rule->count, rule->conditions);

	if (error == 0)
		return 0;
	errno = -error;
	return fail_errno("confinement: rule of system call %d", rule->call);
}

static int allow_one(scmp_filter_ctx filter, int call, unsigned int argument, uint64_t mask, uint64_t value)
{
	const struct rule rule = { call, 1, { WHEN(argument, mask, value) } };

	return allow(filter, &rule);
}

/* Files are made, renamed and removed in the run folder, and none is read. */
static int allow_folder(scmp_filter_ctx filter, uint64_t dir)
{
	const struct rule folder[] = {
		{ SCMP_SYS(openat), 2, { WHEN(0, INT, dir), WHEN(2, O_ACCMODE, O_WRONLY) } },
		{ SCMP_SYS(renameat), 2, { WHEN(0, INT, dir), WHEN(2, INT, dir) } },
		{ SCMP_SYS(renameat2), 2, { WHEN(0, INT, dir), WHEN(2, INT, dir) } },
		{ SCMP_SYS(unlinkat), 2, { WHEN(0, INT, dir), WHEN(2, INT, 0) } },
	};
	unsigned int i;

	for (i = 0; i < sizeof(folder) / sizeof(folder[0]); i++)
		if (allow(filter, &folder[i]) < 0)
			return -1;
	return 0;
}

static int fill_filter(scmp_filter_ctx filter, const struct confine *confine)
{
	const unsigned long *request;
	unsigned int i;

	for (i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (allow(filter, &(struct rule){ .call = always[i] }) < 0)
			return -1;
	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (allow(filter, &rules[i]) < 0)
			return -1;
	for (request = confine->requests; *request != 0; request++)
		if (allow_one(filter, SCMP_SYS(ioctl), 1, ALL, *request) < 0)
			return -1;
	if (confine->tap && allow_one(filter, SCMP_SYS(ioctl), 1, ALL, TUNSETOFFLOAD) < 0)
		return -1;
	/* Signals go to our own threads. */
	if (allow_one(filter, SCMP_SYS(tgkill), 0, INT, (uint64_t)getpid()) < 0)
		return -1;
	return allow_folder(filter, (uint64_t)confine->dir);
}

static int load_filter(scmp_filter_ctx filter, const struct confine *confine)
{
	int error;

	if (fill_filter(filter, confine) < 0)
		return -1;
	error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (error == 0)
		error = seccomp_load(filter);
	errno = -error;
	return error == 0 ? 0 : fail_errno("confinement: system calls");
}

int confine_calls(const struct confine *confine)
{
	struct sigaction action = { .sa_sigaction = take_refusal, .sa_flags = SA_SIGINFO };
	scmp_filter_ctx filter;
	int result;

	refused_dir = confine->dir;
	(void)sigfillset(&action.sa_mask);
	if (sigaction(SIGSYS, &action, NULL) < 0)
		return fail_errno("sigaction");
	filter = seccomp_init(SCMP_ACT_TRAP);
	if (filter == NULL)
		return fail("confinement: no memory");
	result = load_filter(filter, confine);
	seccomp_release(filter);
	return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "vmm_process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "error.h"

/* ---- Its terminal ------------------------------------------------------------------------------------------- */

/* Bytes pass as they are: what the guest prints is its own, and Ctrl-C is for the guest. */
static int make_raw(int terminal)
{
	struct termios mode;

	if (tcgetattr(terminal, &mode) < 0)
		return -1;
	cfmakeraw(&mode);
	/* A VMM that turns the processing of output on again gets no carriage returns besides the guest's own. */
	mode.c_oflag &= ~(tcflag_t)ONLCR;
	return tcsetattr(terminal, TCSANOW, &mode);
}

static int open_terminal(struct vmm_process *vmm)
{
	vmm->terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (vmm->terminal < 0 || unlockpt(vmm->terminal) < 0)
		return fail_errno("a terminal for the VMM");
	vmm->far_side = ioctl(vmm->terminal, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return vmm->far_side < 0 || make_raw(vmm->far_side) < 0 ? fail_errno("a terminal for the VMM") : 0;
}

size_t vmm_process_read(struct vmm_process *vmm, uint8_t *bytes, size_t size)
{
	ssize_t count = read(vmm->terminal, bytes, size);

	return count > 0 ? (size_t)count : 0;
}

size_t vmm_process_write(struct vmm_process *vmm, const uint8_t *bytes, size_t count)
{
	ssize_t done = write(vmm->terminal, bytes, count);

	return done > 0 ? (size_t)done : 0;
}

/* ---- The process -------------------------------------------------------------------------------------------- */

/* In the new process; what fails here is told through `report`, which closes by itself when the program begins. */
static void become(const struct vmm_process *vmm, char *const *argv, pid_t parent, int report)
{
	sigset_t none;
	int error, i;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	/* Asked after the order is given: a parent that died before gives no signal any more. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && ioctl(vmm->far_side, TIOCSCTTY, 0) == 0) {
		for (i = 0; i < 3; i++)
			(void)dup2(vmm->far_side, i);
		(void)execvp(argv[0], argv);
	}
	error = errno;
	_exit(write(report, &error, sizeof(error)) < 0 ? 126 : 127);
}

static int await_program(int report, const char *name)
{
	int error = 0;
	ssize_t count;

	do {
		count = read(report, &error, sizeof(error));
	} while (count < 0 && errno == EINTR);
	if (count == 0)
		return 0;
	errno = error;
	return fail_errno("%s", name);
}

int vmm_process_start(struct vmm_process *vmm, char *const *argv)
{
	pid_t parent = getpid();
	int report[2], result;

	/* What it starts and leaves behind becomes ours to clear away. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || open_terminal(vmm) < 0)
		return -1;
	if (pipe2(report, O_CLOEXEC) < 0)
		return fail_errno("pipe");
	vmm->pid = fork();
	if (vmm->pid == 0)
		become(vmm, argv, parent, report[1]);
	(void)close(report[1]);
	if (vmm->pid < 0) {
		vmm->pid = 0;
		result = fail_errno("fork");
	} else {
		result = await_program(report[0], argv[0]);
	}
	(void)close(report[0]);
	if (result < 0)
		return result;
	vmm->handle = (int)syscall(SYS_pidfd_open, vmm->pid, 0);
	return vmm->handle < 0 ? fail_errno("%s", argv[0]) : 0;
}

void vmm_process_signal(const struct vmm_process *vmm, int number)
{
	if (vmm->pid > 0)
		(void)kill(number == SIGKILL ? -vmm->pid : vmm->pid, number);
}

/* ---- What it leaves behind ---------------------------------------------------------------------------------- */

/* The parent of a process; 0: it is gone. Its name, in parentheses, may have any bytes in it. */
static pid_t parent_of(pid_t pid)
{
	char path[32], text[512];
	const char *rest;
	size_t count;
	FILE *stat;
	int parent;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	stat = fopen(path, "re");
	if (stat == NULL)
		return 0;
	count = fread(text, 1, sizeof(text) - 1, stat);
	(void)fclose(stat);
	text[count] = '\0';
	rest = strrchr(text, ')');
	return rest != NULL && sscanf(rest, ") %*c %d", &parent) == 1 ? parent : 0;
}

/* Kill all children; one of them, or 0. A number that is a child's stays so until it is waited for. */
static pid_t kill_children(void)
{
	DIR *processes = opendir("/proc");
	const struct dirent *entry;
	pid_t pid, found = 0;

	if (processes == NULL)
		return 0;
	while ((entry = readdir(processes)) != NULL) {
		pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
		if (pid > 0 && parent_of(pid) == getpid()) {
			(void)kill(pid, SIGKILL);
			found = pid;
		}
	}
	(void)closedir(processes);
	return found;
}

static long long now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Wait for the end of a child, but do not reap it; false: it is not dead by `deadline`. */
static bool await_child(pid_t pid, long long deadline)
{
	struct pollfd fd = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	long long left = deadline - now_ms();
	bool result = fd.fd >= 0 && left > 0 && poll(&fd, 1, (int)left) > 0;

	if (fd.fd >= 0)
		(void)close(fd.fd);
	return result;
}

/*
 * A child whose parent ended is ours, whatever its session: kill them all until there are none. Each that ends may leave us
 * its own.
 */
static void clear_away(void)
{
	long long deadline = now_ms() + VMM_LEAVE_MS;
	pid_t pid;

	do {
		pid = kill_children();
		if (pid == 0 || !await_child(pid, deadline))
			return;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	} while (now_ms() < deadline);
}

int vmm_process_end(struct vmm_process *vmm)
{
	int status = -1, other;
	pid_t ended;

	if (vmm->pid <= 0)
		return -1;
	/* Not waited for yet, so that the group's number is still its own. */
	vmm_process_signal(vmm, SIGKILL);
	while ((ended = waitpid(-vmm->pid, &other, 0)) > 0 || errno == EINTR)
		if (ended == vmm->pid)
			status = other;
	vmm->pid = 0;
	clear_away();
	return status;
}

void vmm_process_close(struct vmm_process *vmm)
{
	const int descriptors[] = { vmm->handle, vmm->terminal, vmm->far_side };
	unsigned int i;

	for (i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++)
		if (descriptors[i] >= 0)
			(void)close(descriptors[i]);
	vmm->handle = vmm->terminal = vmm->far_side = -1;
}

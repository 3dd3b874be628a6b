/* SPDX-License-Identifier: Apache-2.0 */
/* A VMM that is not ours: a process in a session of its own, whose terminal is the guest's console. */
#ifndef RVMM_VMM_PROCESS_H
#define RVMM_VMM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct vmm_process {
	pid_t pid;       /* 0: none; its number stays its own until vmm_process_end() */
	int handle;      /* readable once it has ended; -1: none */
	int terminal;    /* our side of its terminal, does not block; -1: none */
	int far_side;    /* its side: while we have it too, reading needs no care for a program that closed its own */
};

/* Start `argv`; it is killed when we die. -1 with failure(), also if there is no such program. */
int vmm_process_start(struct vmm_process *vmm, char *const *argv);

/* What it printed; 0: nothing more for now. */
size_t vmm_process_read(struct vmm_process *vmm, uint8_t *bytes, size_t size);

/* How much of this input it took. */
size_t vmm_process_write(struct vmm_process *vmm, const uint8_t *bytes, size_t count);

/* SIGTERM goes to the program, SIGKILL to its whole process group. */
void vmm_process_signal(const struct vmm_process *vmm, int number);

/*
 * It has ended, or is made to now, and so is everything that it has started, also in other sessions; those have VMM_LEAVE_MS
 * to be gone. Its status as waitpid() tells it, -1: there was none.
 */
#define VMM_LEAVE_MS 10000
int vmm_process_end(struct vmm_process *vmm);

void vmm_process_close(struct vmm_process *vmm);

#endif

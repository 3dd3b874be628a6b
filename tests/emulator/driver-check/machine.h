/* SPDX-License-Identifier: Apache-2.0 */
/* A realm that obeys orders (payload.S), for whoever checks the driver with one. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

#include "payload.h"
#include "realm_ioctl.h"

#define PAGE      4096UL
#define IPA_BITS  33
#define ALIAS     (1ULL << (IPA_BITS - 1))
#define RAM       0x40000000ULL
#define RAM_SIZE  0x400000ULL
#define FREE_PAGE (RAM + 0x100000) /* in RAM, behind the payload */

/* RmiRecRun, as far as it is needed (RMM 1.0, B4.4). */
struct run {
	uint64_t flags;
	uint8_t pad0[0x1f8];
	uint64_t enter_gprs[31];
	uint8_t pad1[0x800 - 0x2f8];
	uint8_t reason;
	uint8_t pad2[0xff];
	uint64_t esr, far, hpfar;
	uint8_t pad3[0xe8];
	uint64_t gprs[31];
	uint8_t pad4[0x208];
	uint64_t ripas_base, ripas_top;
	uint8_t ripas;
	uint8_t pad5[0xef];
	uint16_t imm;
	uint8_t pad6[0x1fe];
};
_Static_assert(__builtin_offsetof(struct run, imm) == 0xe00, "RmiRecRun");
_Static_assert(__builtin_offsetof(struct run, ripas_base) == 0xd00, "RmiRecRun");
#define EXIT_SYNC  0
#define EXIT_IRQ   1
#define EXIT_PSCI  3
#define EXIT_RIPAS 4
#define EXIT_CALL  5

struct machine {
	int fd;
	struct run *run;
	struct realm_control *control;
};

extern const uint8_t payload[], payload_end[];

/* End the program: nothing makes sense from here on. */
_Noreturn void bail(const char *what);

/* Number in a file of the driver's debugfs folder. */
long counter(const char *name);

/* A file with a realm that has nothing yet. */
int open_realm(void);

/* One that runs up to its first order. */
struct machine make_machine(void);
void close_machine(struct machine *machine);

/* Enter until something else than an interrupt of the host happens; the exit's reason, -errno if it was refused. */
int enter(struct machine *machine);

/* The realm waits in a host call: let it do one thing, up to the next exit. */
int order(struct machine *machine, uint64_t what, uint64_t address, uint64_t value);

/* fuzz.c: `count` calls from a stream that follows from `seed`; 0 if all is well. */
int fuzz(uint64_t seed, unsigned long count);

#endif

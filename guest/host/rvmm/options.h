/* SPDX-License-Identifier: Apache-2.0 */
/* The command line. */
#ifndef RVMM_OPTIONS_H
#define RVMM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum world { WORLD_NONE, WORLD_REALM, WORLD_VM };

/* Exit codes. */
enum {
	EXIT_OK = 0,
	EXIT_ERROR = 1,
	EXIT_USAGE = 2,
	EXIT_RESET = 3,    /* run: the guest asked for a reset */
	EXIT_TIMED_OUT = 4, /* wait, stop */
};

struct options {
	enum world world;
	const char *dir, *kernel, *initrd, *cmdline;
	unsigned int mem_mib, vcpus;
	int cpu;               /* host CPU of the vCPUs; -1: any */
	bool pretouch, detach;
	uint64_t run_id;
	bool seeded;           /* the entropy device gives a stream that follows from: */
	uint64_t seed;
	const char *tap;       /* name of the host's end of the guest's network; NULL: none */
	uint32_t tap_address;  /* IPv4 of that end, host byte order; 0: it gets none */
	unsigned int tap_prefix;
	uint8_t mac[6];        /* of the guest's end */
	const char *disk;      /* file behind the block device; NULL: none */
	bool disk_writable;
	bool dry_run;          /* say what would be made, make nothing */
	bool unconfined;       /* keep all privileges and system calls */
};

/* Parse what stands behind `rvmm run`, `dump-dtb` or `describe`; -1 with failure() saying what was expected. */
int options_parse(struct options *options, int argc, char **argv, bool needs_dir);

/* The values of --world, --tap and --tap-address; -1 with failure(). */
int options_world(struct options *options, const char *text);
int options_tap(struct options *options, const char *text);
int options_address(struct options *options, const char *text);

/* A decimal number of [low, high], all of `text`; -1 if it is not. */
int options_number(const char *text, uint64_t low, uint64_t high, uint64_t *value);

#endif

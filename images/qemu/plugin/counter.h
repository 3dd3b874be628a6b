/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all parts of the instruction-counting plugin share: its types, and the state
 * that more than one of them reads. docs/counting.md is the manual.
 */
#ifndef COUNTER_H
#define COUNTER_H

#include <qemu-plugin.h>

#define COUNTER_VERSION "1.1"

/* Security states in the order of every array that is indexed by world. */
enum world { WORLD_NON_SECURE, WORLD_REALM, WORLD_ROOT, WORLD_SECURE, WORLDS };

/*
 * Columns of a world's counters; they are disjoint and add up to the total.
 * EL0 comes in two kinds, because an application of a VHE host and one of a
 * guest differ in nothing else: LEVEL_HOST_EL0 is EL0 with HCR_EL2.{E2H,TGE} =
 * {1,1}, that is, of the EL2&0 translation regime.
 */
enum level { LEVEL_EL0, LEVEL_EL1, LEVEL_EL2, LEVEL_EL3, LEVEL_HOST_EL0, LEVELS };

enum mode { MODE_FAST, MODE_REFERENCE, MODE_BOTH };

/* Where a CPU is. */
struct place {
	enum world world;
	enum level level;
};

/*
 * What of a place is followed from block to block: the world, and whether it is the
 * guest's part of it (EL0, EL1) or that of who runs the guest (all else). 0 is no
 * zone: nothing executed yet.
 */
static inline bool zone_is_guest(struct place place)
{
	return place.level == LEVEL_EL0 || place.level == LEVEL_EL1;
}

static inline uint64_t zone_of(struct place place)
{
	return 1 + 2 * (uint64_t)place.world + (zone_is_guest(place) ? 1 : 0);
}

/* What one method (fast or reference) has counted on one vCPU. */
struct tally {
	uint64_t insns[WORLDS][LEVELS];
	uint64_t moves[WORLDS][WORLDS]; /* [from][to], from != to */
	uint64_t exits[WORLDS];         /* guest of that world left, for EL2 or EL3 */
	uint64_t zone;
};

#define TALLY_VALUES (WORLDS * LEVELS + WORLDS * WORLDS + WORLDS)
_Static_assert(offsetof(struct tally, zone) == TALLY_VALUES * sizeof(uint64_t),
	       "a tally's values are contiguous");

/*
 * One element of the scoreboard. The size is a power of two, so that generated
 * code can shift instead of multiply, and keeps vCPUs on separate cache lines.
 */
struct score {
	struct tally fast;
	struct tally reference;
	uint64_t stale; /* executions of a block that was translated for another place */
	char pad[1024 - 2 * sizeof(struct tally) - sizeof(uint64_t)];
};
_Static_assert(sizeof(struct score) == 1024, "power of two");

/* There is one, `counter`, because QEMU's callbacks need one. */
struct counter {
	enum mode mode;
	unsigned smp;
	int api_min, api_cur;
	char *socket_path;

	struct qemu_plugin_scoreboard *scores;
	GByteArray **buffers;   /* per vCPU, for register reads in hot callbacks */
	unsigned started;       /* vCPUs that ran their init callback (atomic) */
};

extern struct counter counter;

/* Stop QEMU at once; a counter that cannot tell the truth must not go on. */
void counter_fatal(const char *format, ...) G_GNUC_PRINTF(1, 2) G_GNUC_NORETURN;

struct score *counter_score(unsigned vcpu);
/* The TALLY_VALUES values that are reported as "the" counters: fast, unless only reference is kept. */
const uint64_t *counter_primary(const struct score *score);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Realm descriptor (RMM 1.0, A2.1), and what all commands on a realm share. */
#ifndef RMM_REALM_H
#define RMM_REALM_H

#include "granule.h"
#include "types.h"

enum realm_state {
	REALM_NEW,
	REALM_ACTIVE,
	REALM_SYSTEM_OFF,
};

#define MEASUREMENTS      5U   /* index 0: RIM, 1..4: REM (A7.1) */
#define MEASUREMENT_BYTES 64U

/* Content of an RD granule. All but `state` changes only under the granule's lock; `state` is also read without. */
struct rd {
	uint64_t state;
	uint64_t vttbr, vtcr;
	uint64_t rtt_base;
	uint32_t rtt_num_start;
	int32_t level_start;          /* -1 to 2 */
	uint32_t s2sz;
	uint8_t hash_algo;            /* RmiHashAlgorithm */
	uint8_t num_bps, num_wps;     /* less one; what the realm's ID registers say, the registers themselves read as zero */
	uint32_t next_rec;            /* RECs created ever: also the index the next one must have */
	uint8_t rpv[64];
	uint8_t measurement[MEASUREMENTS][MEASUREMENT_BYTES];
};
_Static_assert(sizeof(struct rd) <= GRANULE_SIZE, "one granule");

/* A realm whose RD granule the caller has locked: functions that need the lock take this. */
struct realm {
	struct granule *granule;
	struct rd *rd;
};

/* Lock the realm whose RD is at `pa`; false if there is none. */
bool realm_lock(uint64_t pa, struct realm *realm);
void realm_unlock(const struct realm *realm);

/* Make a change of valid entries of the translation tables take effect. Without RECs nothing runs under the realm's VMID
 * any more, and REALM_DESTROY invalidates before another realm can have it: taking a realm apart costs no invalidations. */
void realm_invalidate(const struct realm *realm);

/* End of the Protected half of the IPA space: the top IPA bit tells the halves apart (A5.2). */
static inline uint64_t realm_protected_end(const struct rd *rd)
{
	return UINT64_C(1) << (rd->s2sz - 1);
}

static inline uint64_t realm_ipa_end(const struct rd *rd)
{
	return UINT64_C(1) << rd->s2sz;
}

static inline enum realm_state realm_state(const struct rd *rd)
{
	return (enum realm_state)__atomic_load_n(&rd->state, __ATOMIC_ACQUIRE);
}

static inline void realm_set_state(const struct realm *realm, enum realm_state state)
{
	__atomic_store_n(&realm->rd->state, (uint64_t)state, __ATOMIC_RELEASE);
}

/* FEAT_LPA2: descriptors of the realm's tables hold addresses of 52 bits, in whose place narrow ones have shareability. */
#define VTCR_DS BIT(32)
static inline bool realm_is_wide(const struct rd *rd)
{
	return (rd->vtcr & VTCR_DS) != 0;
}

/* Has the CPU that for stage 2 with pages of 4 KiB (ID_AA64MMFR0_EL1)? */
bool realm_can_be_wide(void);

/* Take a VMID that no realm has, false if one does; give it back. */
bool realm_take_vmid(uint16_t vmid);
void realm_give_vmid(uint16_t vmid);

/* Break- and watchpoints that a realm may be made with, less one: those of the CPU (ID_AA64DFR0_EL1). */
unsigned int realm_max_bps(void);
unsigned int realm_max_wps(void);

#endif

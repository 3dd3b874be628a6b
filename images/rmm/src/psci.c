/* SPDX-License-Identifier: Apache-2.0 */
/* PSCI 1.1 for realms (RMM 1.0, B6) and RMI_PSCI_COMPLETE (B4.3). */
#include "arch.h"
#include "rec.h"
#include "run.h"

void *memset(void *to, int value, size_t bytes);

#define SMCCC_VERSION       0x80000000U
#define PSCI_VERSION        0x84000000U
#define PSCI_CPU_OFF        0x84000002U
#define PSCI_SYSTEM_OFF     0x84000008U
#define PSCI_SYSTEM_RESET   0x84000009U
#define PSCI_FEATURES       0x8400000AU
#define PSCI_CPU_SUSPEND    0xC4000001U
#define PSCI_CPU_ON         0xC4000003U
#define PSCI_AFFINITY_INFO  0xC4000004U

#define PSCI_SUCCESS            UINT64_C(0)
#define PSCI_NOT_SUPPORTED      (~UINT64_C(0))
#define PSCI_INVALID_PARAMETERS ((uint64_t)-2)
#define PSCI_DENIED             ((uint64_t)-3)
#define PSCI_ALREADY_ON         ((uint64_t)-4)
#define PSCI_INVALID_ADDRESS    ((uint64_t)-9)

#define PSCI_VERSION_1_1  UINT64_C(0x10001)
#define SMCCC_VERSION_1_2 UINT64_C(0x10002)
#define AFFINITY_ON       UINT64_C(0)
#define AFFINITY_OFF      UINT64_C(1)

/* Hand the call with its `arguments` to the host; the realm sees `result` unless PSCI_COMPLETE replaces it. */
static enum step forward(struct run *run, unsigned int arguments, uint64_t result)
{
	struct rec *rec = run->rec;
	unsigned int i;

	run->exit->reason = EXIT_PSCI;
	for (i = 0; i <= arguments; i++)
		run->exit->gprs[i] = rec->gprs[i];
	(void)run_smc_done(rec, result);
	return STEP_LEAVE;
}

/* Is this MPIDR_EL1's affinity fields and nothing else? Then *mpidr is the same in the order of RmiRecMpidr. */
static bool convert_mpidr(uint64_t affinity, uint64_t *mpidr)
{
	*mpidr = (affinity & 0xffff0f) | (affinity >> 32 & 0xff) << 24;
	return (affinity & ~(MASK(39, 32) | MASK(23, 8) | MASK(3, 0))) == 0;
}

static bool is_rec_of(const struct rec *rec, uint64_t mpidr)
{
	const struct rd *rd = arch_granule(granule_address(rec->realm));

	/* REC_CREATE hands out indices from 0 on, and none once a realm runs. */
	return ((mpidr & 0xf) | mpidr >> 8 << 4) < rd->next_rec;
}

static enum step cpu_on(struct run *run)
{
	struct rec *rec = run->rec;
	const struct rd *rd = arch_granule(granule_address(rec->realm));
	uint64_t mpidr;

	if (rec->gprs[2] >= realm_protected_end(rd))
		return run_smc_done(rec, PSCI_INVALID_ADDRESS);
	if (!convert_mpidr(rec->gprs[1], &mpidr) || !is_rec_of(rec, mpidr))
		return run_smc_done(rec, PSCI_INVALID_PARAMETERS);
	if (mpidr == rec->mpidr)
		return run_smc_done(rec, PSCI_ALREADY_ON);
	rec->pending = PENDING_PSCI;
	return forward(run, 3, rec->gprs[0]);
}

static enum step affinity_info(struct run *run)
{
	struct rec *rec = run->rec;
	uint64_t mpidr;

	if (rec->gprs[2] != 0 || !convert_mpidr(rec->gprs[1], &mpidr) || !is_rec_of(rec, mpidr))
		return run_smc_done(rec, PSCI_INVALID_PARAMETERS);
	if (mpidr == rec->mpidr)
		return run_smc_done(rec, AFFINITY_ON);
	rec->pending = PENDING_PSCI;
	return forward(run, 2, rec->gprs[0]);
}

static enum step cpu_off(struct run *run)
{
	run->rec->runnable = false;
	return forward(run, 0, PSCI_SUCCESS);
}

static enum step system_off(struct run *run)
{
	struct realm realm = { .granule = run->rec->realm };

	if (!granule_lock(realm.granule, GRANULE_RD))
		panic("psci: a REC's realm is gone");
	realm.rd = arch_granule(granule_address(realm.granule));
	realm_set_state(&realm, REALM_SYSTEM_OFF);
	realm_unlock(&realm);
	return forward(run, 0, PSCI_SUCCESS);
}

static uint64_t features(uint64_t function)
{
	switch (function) {
	case SMCCC_VERSION:
	case PSCI_VERSION:
	case PSCI_CPU_OFF:
	case PSCI_SYSTEM_OFF:
	case PSCI_SYSTEM_RESET:
	case PSCI_FEATURES:
	case PSCI_CPU_SUSPEND:
	case PSCI_CPU_ON:
	case PSCI_AFFINITY_INFO:
		return PSCI_SUCCESS;
	default:
		return PSCI_NOT_SUPPORTED;
	}
}

enum step run_psci(struct run *run)
{
	struct rec *rec = run->rec;

	switch (rec->gprs[0] & UINT32_MAX) {
	case SMCCC_VERSION:
		return run_smc_done(rec, SMCCC_VERSION_1_2);
	case PSCI_VERSION:
		return run_smc_done(rec, PSCI_VERSION_1_1);
	case PSCI_FEATURES:
		return run_smc_done(rec, features(rec->gprs[1] & UINT32_MAX));
	case PSCI_CPU_SUSPEND:
		return forward(run, 3, PSCI_SUCCESS);
	case PSCI_CPU_OFF:
		return cpu_off(run);
	case PSCI_CPU_ON:
		return cpu_on(run);
	case PSCI_AFFINITY_INFO:
		return affinity_info(run);
	case PSCI_SYSTEM_OFF:
	case PSCI_SYSTEM_RESET:
		return system_off(run);
	default:
		return run_smc_done(rec, SMC_NOT_SUPPORTED);
	}
}

/* ---- RMI_PSCI_COMPLETE ----------------------------------------------------------------------------------- */

/* Start `target` where the caller of CPU_ON asked. */
static void start(struct rec *target, const struct rec *caller)
{
	memset(target->gprs, 0, sizeof(target->gprs));
	memset(target->sys, 0, sizeof(target->sys));
	memset(&target->gic, 0, sizeof(target->gic));
	memset(&target->timers, 0, sizeof(target->timers));
	target->csselr = 0;
	arch_rec_reset(target);
	target->gprs[0] = caller->gprs[3];
	target->pc = caller->gprs[2];
	target->pstate = PSTATE_START;
	target->runnable = true;
}

static uint64_t complete_cpu_on(struct rec *caller, struct rec *target, uint64_t status)
{
	if (status != PSCI_SUCCESS)
		return status;
	/* A target that is just being switched off is still in the hands of another CPU. */
	if (target->runnable || target->running)
		return PSCI_ALREADY_ON;
	start(target, caller);
	return PSCI_SUCCESS;
}

/* The host may refuse to start a CPU, but neither lie about its state nor about one that is on. */
static bool permitted(uint64_t function, const struct rec *target, uint64_t status)
{
	return status == PSCI_SUCCESS ||
	       (status == PSCI_DENIED && function == PSCI_CPU_ON && !target->runnable);
}

static uint64_t complete(struct rec *caller, struct rec *target, uint64_t status)
{
	uint64_t function = caller->gprs[0] & UINT32_MAX, mpidr;

	if (caller->running || caller->pending != PENDING_PSCI || caller->realm != target->realm ||
	    !convert_mpidr(caller->gprs[1], &mpidr) || mpidr != target->mpidr || !permitted(function, target, status))
		return RMI_ERROR_INPUT;
	if (function == PSCI_CPU_ON)
		caller->gprs[0] = complete_cpu_on(caller, target, status);
	else
		caller->gprs[0] = target->runnable || target->running ? AFFINITY_ON : AFFINITY_OFF;
	memset(&caller->gprs[1], 0, 3 * sizeof(caller->gprs[0]));
	caller->pending = PENDING_NONE;
	return RMI_SUCCESS;
}

uint64_t rmi_psci_complete(const uint64_t *in, uint64_t *out)
{
	/* Two RECs are locked in rising address (granule.h). */
	uint64_t low = in[0] < in[1] ? in[0] : in[1], high = in[0] < in[1] ? in[1] : in[0];
	struct granule *first, *second;
	uint64_t status = RMI_ERROR_INPUT;

	(void)out;
	if (low == high)
		return RMI_ERROR_INPUT;
	first = granule_find_and_lock(low, GRANULE_REC);
	if (first == NULL)
		return RMI_ERROR_INPUT;
	second = granule_find_and_lock(high, GRANULE_REC);
	if (second != NULL) {
		status = complete(arch_granule(in[0]), arch_granule(in[1]), in[2]);
		granule_unlock(second);
	}
	granule_unlock(first);
	return status;
}

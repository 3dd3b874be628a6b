/* SPDX-License-Identifier: Apache-2.0 */
#include "psci.h"

#include "arch.h"
#include "smccc.h"

#define SMCCC_VERSION     0x80000000U
#define PSCI_VERSION_1_1  UINT64_C(0x10001)
#define SMCCC_VERSION_1_2 UINT64_C(0x10002)

/* X(id, inputs, outputs, function): see smccc.h. */
#define PSCI_CALLS(X)                                   \
	X(SMCCC_VERSION, 0, 0, smccc_version)           \
	X(PSCI_VERSION, 0, 0, psci_version)             \
	X(PSCI_CPU_SUSPEND, 3, 0, psci_cpu_suspend)     \
	X(PSCI_CPU_OFF, 0, 0, psci_cpu_off)             \
	X(PSCI_CPU_ON, 3, 0, psci_cpu_on)               \
	X(PSCI_AFFINITY_INFO, 2, 0, psci_affinity_info) \
	X(PSCI_SYSTEM_OFF, 0, 0, psci_system_off)       \
	X(PSCI_SYSTEM_RESET, 0, 0, psci_system_off)     \
	X(PSCI_FEATURES, 1, 0, psci_features)

/* Hand the call to the host; the realm sees `result` unless PSCI_COMPLETE replaces it. */
static enum step forward(struct run *run, uint64_t result, uint64_t x1, uint64_t x2, uint64_t x3)
{
	struct rec *rec = run->rec;

	run->exit->reason = EXIT_PSCI;
	run->exit->gprs[0] = rec->gprs[0];
	run->exit->gprs[1] = x1;
	run->exit->gprs[2] = x2;
	run->exit->gprs[3] = x3;
	(void)run_smc_done(rec, result);
	return STEP_LEAVE;
}

bool psci_mpidr(uint64_t affinity, uint64_t *mpidr)
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

static enum step smccc_version(struct run *run)
{
	return run_smc_done(run->rec, SMCCC_VERSION_1_2);
}

static enum step psci_version(struct run *run)
{
	return run_smc_done(run->rec, PSCI_VERSION_1_1);
}

static enum step psci_cpu_suspend(struct run *run, uint64_t state, uint64_t entry, uint64_t context)
{
	return forward(run, PSCI_SUCCESS, state, entry, context);
}

static enum step psci_cpu_on(struct run *run, uint64_t target, uint64_t entry, uint64_t context)
{
	struct rec *rec = run->rec;
	const struct rd *rd = arch_granule(granule_address(rec->realm));
	uint64_t mpidr;

	if (entry >= realm_protected_end(rd))
		return run_smc_done(rec, PSCI_INVALID_ADDRESS);
	if (!psci_mpidr(target, &mpidr) || !is_rec_of(rec, mpidr))
		return run_smc_done(rec, PSCI_INVALID_PARAMETERS);
	if (mpidr == rec->mpidr)
		return run_smc_done(rec, PSCI_ALREADY_ON);
	rec->pending = PENDING_PSCI;
	return forward(run, rec->gprs[0], target, entry, context);
}

static enum step psci_affinity_info(struct run *run, uint64_t target, uint64_t lowest_level)
{
	struct rec *rec = run->rec;
	uint64_t mpidr;

	if (lowest_level != 0 || !psci_mpidr(target, &mpidr) || !is_rec_of(rec, mpidr))
		return run_smc_done(rec, PSCI_INVALID_PARAMETERS);
	if (mpidr == rec->mpidr)
		return run_smc_done(rec, AFFINITY_ON);
	rec->pending = PENDING_PSCI;
	return forward(run, rec->gprs[0], target, lowest_level, 0);
}

static enum step psci_cpu_off(struct run *run)
{
	run->rec->runnable = false;
	return forward(run, PSCI_SUCCESS, 0, 0, 0);
}

/* SYSTEM_OFF and SYSTEM_RESET: a realm does not start twice. */
static enum step psci_system_off(struct run *run)
{
	struct realm realm;

	rec_lock_realm(run->rec, &realm);
	realm_set_state(&realm, REALM_SYSTEM_OFF);
	realm_unlock(&realm);
	return forward(run, PSCI_SUCCESS, 0, 0, 0);
}

static enum step psci_features(struct run *run, uint64_t function)
{
	switch (function & UINT32_MAX) {
#define IS_THERE(id, inputs, outputs, handler) case id:
	PSCI_CALLS(IS_THERE)
		return run_smc_done(run->rec, PSCI_SUCCESS);
	default:
		return run_smc_done(run->rec, PSCI_NOT_SUPPORTED);
	}
}

enum step run_psci(struct run *run)
{
	const uint64_t *x = run->rec->gprs;

	switch (x[0] & UINT32_MAX) {
#define CALL(id, inputs, outputs, handler) \
	case id:                           \
		return handler(run IN_VALUES_##inputs(&x[1]) OUT_VALUES_##outputs(&x[1]));
	PSCI_CALLS(CALL)
	default:
		return run_smc_done(run->rec, SMC_NOT_SUPPORTED);
	}
}

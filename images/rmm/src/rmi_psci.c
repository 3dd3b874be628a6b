/* SPDX-License-Identifier: Apache-2.0 */
/* PSCI_COMPLETE (RMM 1.0, B4.3): the host's part in a realm's CPU_ON and AFFINITY_INFO. */
#include "arch.h"
#include "psci.h"
#include "rec.h"
#include "rmi.h"
#include "rmi_commands.h"

void *memset(void *to, int value, size_t bytes);

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
	    !psci_mpidr(caller->gprs[1], &mpidr) || mpidr != target->mpidr || !permitted(function, target, status))
		return RMI_ERROR_INPUT;
	if (function == PSCI_CPU_ON)
		caller->gprs[0] = complete_cpu_on(caller, target, status);
	else
		caller->gprs[0] = target->runnable || target->running ? AFFINITY_ON : AFFINITY_OFF;
	memset(&caller->gprs[1], 0, 3 * sizeof(caller->gprs[0]));
	caller->pending = PENDING_NONE;
	return RMI_SUCCESS;
}

uint64_t rmi_psci_complete(uint64_t caller, uint64_t target, uint64_t status)
{
	/* Two RECs are locked in rising address (granule.h). */
	uint64_t low = caller < target ? caller : target, high = caller < target ? target : caller;
	struct granule *first, *second;
	uint64_t result = RMI_ERROR_INPUT;

	if (low == high)
		return RMI_ERROR_INPUT;
	first = granule_find_and_lock(low, GRANULE_REC);
	if (first == NULL)
		return RMI_ERROR_INPUT;
	second = granule_find_and_lock(high, GRANULE_REC);
	if (second != NULL) {
		result = complete(arch_granule(caller), arch_granule(target), status);
		granule_unlock(second);
	}
	granule_unlock(first);
	return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Entries and exits, a vCPU's part of the GIC, timers, WFI, PSCI. */
#include "realm_vcpu.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "error.h"
#include "gic_mmio.h"
#include "realm.h"
#include "realm_decode.h"
#include "realm_memory.h"
#include "rmi_rules.h"

/* PSCI 1.1 functions that reach the host (RMM specification 1.0, B6). */
#define PSCI_CPU_SUSPEND   UINT64_C(0xc4000001)
#define PSCI_CPU_OFF       UINT64_C(0x84000002)
#define PSCI_CPU_ON        UINT64_C(0xc4000003)
#define PSCI_AFFINITY_INFO UINT64_C(0xc4000004)
#define PSCI_SYSTEM_OFF    UINT64_C(0x84000008)
#define PSCI_SYSTEM_RESET  UINT64_C(0x84000009)

#define NS_PER_S 1000000000L

static struct realm_state *state(const struct vcpu *vcpu)
{
	return vcpu->vm->state;
}

static struct realm_vcpu *self(const struct vcpu *vcpu)
{
	return &state(vcpu)->vcpus[vcpu->index];
}

static uint64_t counter(void)
{
	uint64_t now;

	/* A realm's counter has no offset; ISB: not earlier than what came before. */
	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(now)::"memory");
	return now;
}

/* ---- Waking ------------------------------------------------------------------------------------------------- */

void realm_vcpu_kick(struct vcpu *vcpu)
{
	struct realm_state *realm = state(vcpu);
	struct realm_vcpu *me = self(vcpu);

	(void)pthread_mutex_lock(&realm->lock);
	__atomic_store_n(&me->control->immediate_exit, 1, __ATOMIC_SEQ_CST);
	(void)pthread_cond_signal(&me->wake);
	(void)pthread_mutex_unlock(&realm->lock);
	(void)pthread_kill(vcpu->thread, KICK_SIGNAL);
}

/* Kick the vCPUs of a mask but for `except`. Without the lock. */
static void kick_mask(struct vm *vm, uint32_t mask, unsigned int except)
{
	unsigned int i;

	for (i = 0; i < vm->options->vcpus; i++)
		if ((mask >> i & 1) != 0 && i != except && vm->vcpus[i].started)
			realm_vcpu_kick(&vm->vcpus[i]);
}

int realm_set_irq(struct vm *vm, unsigned int spi, bool level)
{
	struct realm_state *realm = vm->state;
	unsigned int i, caller = MAX_VCPUS;
	uint32_t mask;

	/* The vCPU whose access changed the line looks at the GIC anyway before it is entered again. */
	for (i = 0; i < vm->options->vcpus; i++)
		if (vm->vcpus[i].started && pthread_equal(vm->vcpus[i].thread, pthread_self()))
			caller = i;
	(void)pthread_mutex_lock(&realm->lock);
	mask = gic_set_spi(&realm->gic, spi, level);
	(void)pthread_mutex_unlock(&realm->lock);
	kick_mask(vm, mask, caller);
	return 0;
}

/* ---- Waiting; under the lock ---------------------------------------------------------------------------------- */

/* Levels of the timers' interrupts at counter value `now`. */
static void update_timers(const struct vcpu *vcpu, uint64_t now)
{
	struct gic *gic = &state(vcpu)->gic;
	const struct realm_vcpu *me = self(vcpu);

	(void)gic_set_ppi(gic, vcpu->index, INTID_CNTV, timer_asserted(&me->cntv, now));
	(void)gic_set_ppi(gic, vcpu->index, INTID_CNTP, timer_asserted(&me->cntp, now));
}

static struct timespec after(uint64_t ns)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_sec += (time_t)(ns / NS_PER_S);
	time.tv_nsec += (long)(ns % NS_PER_S);
	if (time.tv_nsec >= NS_PER_S) {
		time.tv_nsec -= NS_PER_S;
		time.tv_sec++;
	}
	return time;
}

/* Time from `now` until a level rises or `end` goes off, ns. A level that is high already and has not woken the vCPU is one
 * whose interrupt the guest has off. */
static uint64_t next_timer(const struct vcpu *vcpu, const struct timer *end, uint64_t now)
{
	const struct timer *timers[] = { &self(vcpu)->cntv, &self(vcpu)->cntp, end };
	uint64_t delay, first = TIMER_NEVER;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		delay = timer_delay(timers[i], now, state(vcpu)->counter_hz);
		if (delay != 0 && delay < first)
			first = delay;
	}
	return first;
}

/* WFI: until an interrupt, a timer, a kick or the end of WFIT. Levels and the time to wait are of one moment: a timer that
 * expires between two looks at the counter would be waited for in vain. */
static void wait_for_interrupt(const struct vcpu *vcpu, const struct timer *end)
{
	struct realm_state *realm = state(vcpu);
	struct timespec deadline;
	uint64_t now = counter();

	update_timers(vcpu, now);
	while (!gic_waiting(&realm->gic, vcpu->index) && !timer_asserted(end, now) && !vm_ending(vcpu->vm)) {
		deadline = after(next_timer(vcpu, end, now));
		(void)pthread_cond_timedwait(&self(vcpu)->wake, &realm->lock, &deadline);
		now = counter();
		update_timers(vcpu, now);
	}
}

/* A vCPU that is off waits for CPU_ON, which may have come before this thread got here. */
static void wait_until_on(const struct vcpu *vcpu)
{
	struct realm_vcpu *me = self(vcpu);

	while (!power_check(&me->power) && !vm_ending(vcpu->vm))
		(void)pthread_cond_wait(&me->wake, &state(vcpu)->lock);
}

/* ---- Entry -------------------------------------------------------------------------------------------------- */

/* Fill the page; false: the guest ends. */
static bool prepare(const struct vcpu *vcpu, struct rmi_rec_enter *enter)
{
	struct realm_state *realm = state(vcpu);
	struct realm_vcpu *me = self(vcpu);
	bool ending;

	(void)pthread_mutex_lock(&realm->lock);
	/* Before the GIC is looked at: a kick that comes later is not lost. */
	__atomic_store_n(&me->control->immediate_exit, 0, __ATOMIC_SEQ_CST);
	wait_until_on(vcpu);
	update_timers(vcpu, counter());
	gic_fill(&realm->gic, vcpu->index, enter->gicv3_lrs, &enter->gicv3_hcr);
	ending = vm_ending(vcpu->vm);
	(void)pthread_mutex_unlock(&realm->lock);
	enter->flags = REC_ENTER_TRAP_WFI | me->flags;
	enter->gprs[0] = me->gpr0;
	return !ending;
}

static void take_gic(const struct vcpu *vcpu, const uint64_t *lrs, uint64_t hcr)
{
	struct realm_state *realm = state(vcpu);
	uint32_t wake;

	(void)pthread_mutex_lock(&realm->lock);
	wake = gic_fold(&realm->gic, vcpu->index, lrs, hcr);
	(void)pthread_mutex_unlock(&realm->lock);
	kick_mask(vcpu->vm, wake, vcpu->index);
}

/* Was the entry refused because the vCPU is off, contrary to what a CPU_ON made us think? Then it waits on. */
static bool is_off_after_all(const struct vcpu *vcpu)
{
	struct realm_state *realm = state(vcpu);
	struct realm_last last = { .command = 0 };
	bool result;

	if (ioctl(realm->fd, REALM_LAST, &last) < 0 || !rmi_rec_is_off(last.status))
		return false;
	(void)pthread_mutex_lock(&realm->lock);
	result = power_refused(&self(vcpu)->power);
	(void)pthread_mutex_unlock(&realm->lock);
	return result;
}

/* REC_ENTER failed. 0: it is to be tried again, -1: error. */
static int take_failure(const struct vcpu *vcpu, const struct rmi_rec_enter *page)
{
	int error = errno;

	/* ESHUTDOWN: another vCPU has switched the realm off, and says so. */
	if (error != EINTR && error != ESHUTDOWN && (error != EPROTO || !is_off_after_all(vcpu))) {
		errno = error;
		return realm_failed(state(vcpu), "entry");
	}
	take_gic(vcpu, page->gicv3_lrs, 0);
	stat_add(&vcpu->vm->stats, STAT_INTERRUPTED);
	return 0;
}

/* 1: it ran, 0: it did not and is to be entered again, -1: error. `exit` gets a copy that nobody changes. */
static int enter(const struct vcpu *vcpu, struct rmi_rec_exit *exit)
{
	struct realm_vcpu *me = self(vcpu);
	struct rmi_rec_enter page;

	memset(&page, 0, sizeof(page));
	if (!prepare(vcpu, &page)) {
		take_gic(vcpu, page.gicv3_lrs, 0);
		return 0;
	}
	memcpy(&me->run->enter, &page, sizeof(page));
	stat_add(&vcpu->vm->stats, STAT_ENTRIES);
	if (ioctl(state(vcpu)->fd, REALM_REC_ENTER, (unsigned long)vcpu->index) < 0)
		return take_failure(vcpu, &page);
	memcpy(exit, &me->run->exit, sizeof(*exit));
	me->flags = 0;
	me->gpr0 = 0;
	/* Without the lock: others write `start` alone. */
	power_ran(&me->power);
	me->cntv = (struct timer){ .ctl = exit->cntv_ctl, .cval = exit->cntv_cval };
	me->cntp = (struct timer){ .ctl = exit->cntp_ctl, .cval = exit->cntp_cval };
	take_gic(vcpu, exit->gicv3_lrs, exit->gicv3_hcr);
	return 1;
}

void realm_vcpu_answer(struct vcpu *vcpu, uint64_t value)
{
	self(vcpu)->flags = REC_ENTER_EMUL_MMIO;
	self(vcpu)->gpr0 = value;
}

int realm_vcpu_abort(struct vcpu *vcpu)
{
	self(vcpu)->flags = REC_ENTER_INJECT_SEA;
	return 0;
}

/* ---- Exits -------------------------------------------------------------------------------------------------- */

static int take_mmio(struct vcpu *vcpu, const struct sync *sync, struct vm_exit *exit)
{
	struct realm_state *realm = state(vcpu);
	uint64_t value = sync->value;
	uint32_t wake;
	bool mine;

	(void)pthread_mutex_lock(&realm->lock);
	mine = gic_access(&realm->gic, sync->ipa, sync->bytes, sync->write, &value, &wake);
	(void)pthread_mutex_unlock(&realm->lock);
	if (mine) {
		stat_add(&vcpu->vm->stats, STAT_GIC_ACCESS);
		kick_mask(vcpu->vm, wake, vcpu->index);
		realm_vcpu_answer(vcpu, value);
		return 0;
	}
	*exit = (struct vm_exit){ .kind = VM_EXIT_MMIO, .address = sync->ipa, .value = sync->value, .bytes = sync->bytes,
				  .write = sync->write };
	return 0;
}

static void take_gic_write(struct vcpu *vcpu, const struct sync *sync)
{
	struct realm_state *realm = state(vcpu);
	uint32_t wake = 0;

	stat_add(&vcpu->vm->stats, STAT_SYSREG);
	(void)pthread_mutex_lock(&realm->lock);
	if (sync->kind == SYNC_SGI)
		wake = gic_send_sgi(&realm->gic, vcpu->index, sync->value);
	else if (sync->kind == SYNC_DIR)
		wake = gic_deactivate(&realm->gic, vcpu->index, sync->value);
	(void)pthread_mutex_unlock(&realm->lock);
	kick_mask(vcpu->vm, wake, vcpu->index);
}

/* `end`: when it is over anyway; one that is off never ends it. */
static void take_wfi(struct vcpu *vcpu, struct timer end)
{
	struct realm_state *realm = state(vcpu);

	stat_add(&vcpu->vm->stats, STAT_WFX);
	(void)pthread_mutex_lock(&realm->lock);
	wait_for_interrupt(vcpu, &end);
	(void)pthread_mutex_unlock(&realm->lock);
}

/* RAM that the realm has not given up is not there a second time. */
static int take_shared_fault(struct vcpu *vcpu, uint64_t ipa)
{
	int result = realm_share_around(vcpu->vm, ipa);

	if (result <= 0)
		return result;
	stat_add(&vcpu->vm->stats, STAT_ABORT);
	return realm_vcpu_abort(vcpu);
}

static int take_sync(struct vcpu *vcpu, const struct rmi_rec_exit *rec, struct vm_exit *exit)
{
	struct sync sync = realm_decode_sync(rec, vcpu->vm->content->layout.ram_bytes);

	switch (sync.kind) {
	case SYNC_WFX:
		take_wfi(vcpu, sync.timed ? timer_at(sync.value) : (struct timer){ .ctl = 0 });
		return 0;
	case SYNC_WFE:
		/* It may end at any time; not trapped, since we do not ask for it. */
		stat_add(&vcpu->vm->stats, STAT_WFX);
		return 0;
	case SYNC_SGI:
	case SYNC_DIR:
	case SYNC_SYSREG:
		take_gic_write(vcpu, &sync);
		return 0;
	case SYNC_PROTECTED:
		stat_add(&vcpu->vm->stats, STAT_FAULT_PROTECTED);
		return realm_populate_around(vcpu->vm, sync.ipa);
	case SYNC_SHARED:
		stat_add(&vcpu->vm->stats, STAT_FAULT_SHARED);
		return take_shared_fault(vcpu, sync.ipa);
	case SYNC_MMIO:
		return take_mmio(vcpu, &sync, exit);
	case SYNC_NOTHING:
		stat_add(&vcpu->vm->stats, STAT_ABORT);
		return realm_vcpu_abort(vcpu);
	case SYNC_BAD:
		break;
	}
	return fail("realm: exit with syndrome %#llx at IPA %#llx", (unsigned long long)rec->esr, (unsigned long long)sync.ipa);
}

/* CPU_ON and AFFINITY_INFO name another vCPU; the RMM has checked that there is one. */
static int complete_psci(struct vcpu *vcpu, const struct rmi_rec_exit *rec)
{
	struct realm_state *realm = state(vcpu);
	struct realm_psci psci = { .caller = vcpu->index, .target = (uint32_t)(rec->gprs[1] & 0xf) };

	if (psci.target >= vcpu->vm->options->vcpus || rec->gprs[1] >= MAX_VCPUS)
		return fail("realm: PSCI call for a vCPU %#llx", (unsigned long long)rec->gprs[1]);
	if (realm_call(realm, REALM_PSCI, &psci, "PSCI") < 0)
		return -1;
	if (rec->gprs[0] != PSCI_CPU_ON)
		return 0;
	(void)pthread_mutex_lock(&realm->lock);
	/* Whether it was off, only the RMM knows: see power.h. */
	realm->vcpus[psci.target].power.start = true;
	(void)pthread_cond_signal(&realm->vcpus[psci.target].wake);
	(void)pthread_mutex_unlock(&realm->lock);
	return 0;
}

static void switch_off(struct vcpu *vcpu)
{
	struct realm_state *realm = state(vcpu);

	(void)pthread_mutex_lock(&realm->lock);
	self(vcpu)->power.off = true;
	(void)pthread_mutex_unlock(&realm->lock);
}

static int take_psci(struct vcpu *vcpu, const struct rmi_rec_exit *rec, struct vm_exit *exit)
{
	stat_add(&vcpu->vm->stats, STAT_PSCI);
	switch (rec->gprs[0]) {
	case PSCI_SYSTEM_OFF:
		exit->kind = VM_EXIT_OFF;
		return 0;
	case PSCI_SYSTEM_RESET:
		exit->kind = VM_EXIT_RESET;
		return 0;
	case PSCI_CPU_ON:
	case PSCI_AFFINITY_INFO:
		return complete_psci(vcpu, rec);
	case PSCI_CPU_SUSPEND:
		take_wfi(vcpu, (struct timer){ .ctl = 0 });
		return 0;
	case PSCI_CPU_OFF:
		switch_off(vcpu);
		return 0;
	default:
		return fail("realm: PSCI function %#llx", (unsigned long long)rec->gprs[0]);
	}
}

/* RSI_IPA_STATE_SET: yes to all of the guest's RAM; elsewhere RAM would be memory that it was not given. */
static int take_ripas(struct vcpu *vcpu, const struct rmi_rec_exit *rec)
{
	uint64_t base = rec->ripas_base, top = rec->ripas_top, ram = vcpu->vm->content->layout.ram_bytes;

	stat_add(&vcpu->vm->stats, STAT_RIPAS_CHANGE);
	if (top <= base || top > IPA_UNPROTECTED || rec->ripas_value > RIPAS_RAM)
		return fail("realm: change of RIPAS of %#llx to %#llx", (unsigned long long)base, (unsigned long long)top);
	if (rec->ripas_value == RIPAS_RAM && !within(base, top - base, RAM_BASE, ram)) {
		self(vcpu)->flags = REC_ENTER_RIPAS_RESPONSE;
		return 0;
	}
	return realm_change_ripas(vcpu->vm, vcpu->index, base, top, rec->ripas_value);
}

static int take_exit(struct vcpu *vcpu, const struct rmi_rec_exit *rec, struct vm_exit *exit)
{
	struct stats *stats = &vcpu->vm->stats;

	switch (rec->reason) {
	case REC_EXIT_SYNC:
		return take_sync(vcpu, rec, exit);
	case REC_EXIT_IRQ:
		stat_add(stats, STAT_IRQ);
		return 0;
	case REC_EXIT_FIQ:
		stat_add(stats, STAT_FIQ);
		return 0;
	case REC_EXIT_PSCI:
		return take_psci(vcpu, rec, exit);
	case REC_EXIT_RIPAS_CHANGE:
		return take_ripas(vcpu, rec);
	case REC_EXIT_HOST_CALL:
		stat_add(stats, STAT_HOST_CALL);
		return 0;
	case REC_EXIT_SERROR:
		stat_add(stats, STAT_SERROR);
		return fail("realm: SError, syndrome %#llx", (unsigned long long)rec->esr);
	default:
		return fail("realm: exit for reason %u", rec->reason);
	}
}

int realm_vcpu_run(struct vcpu *vcpu, struct vm_exit *exit)
{
	struct rmi_rec_exit rec;
	int ran;

	exit->kind = VM_EXIT_AGAIN;
	ran = enter(vcpu, &rec);
	return ran <= 0 ? ran : take_exit(vcpu, &rec, exit);
}

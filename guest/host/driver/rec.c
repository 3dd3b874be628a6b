// SPDX-License-Identifier: GPL-2.0-only
/* Virtual CPUs of realms. */
#include <linux/debugfs.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/mm.h>
#include <linux/of.h>
#include <linux/of_irq.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "granule.h"
#include "rec.h"
#include "rmi.h"

/* A list register that asks to be looked at when its interrupt ends (GICv3, ICH_LR<n>_EL2). */
#define LR_STATE GENMASK_ULL(63, 62)
#define LR_EOI   BIT_ULL(41)

#define TIMER_P 1
#define TIMER_V 2

static atomic64_t exits = ATOMIC64_INIT(0);

/* Linux's numbers of the EL1 timers' interrupts (PPI 30 and 27). */
static int timer_irqs[2];

int rec_init(void)
{
	struct device_node *node = of_find_compatible_node(NULL, NULL, "arm,armv8-timer");
	int i;

	if (!node) {
		pr_err("realm: the device tree has no arm,armv8-timer\n");
		return -ENODEV;
	}
	/* The binding's order: secure physical, physical, virtual, ... */
	for (i = 0; i < ARRAY_SIZE(timer_irqs); i++)
		timer_irqs[i] = of_irq_get(node, 1 + i);
	of_node_put(node);
	if (timer_irqs[0] <= 0 || timer_irqs[1] <= 0) {
		pr_err("realm: no interrupts for the EL1 timers (%d, %d)\n", timer_irqs[0], timer_irqs[1]);
		return -ENODEV;
	}
	return 0;
}

static int exits_get(void *unused, u64 *value)
{
	*value = atomic64_read(&exits);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(exits_ops, exits_get, NULL, "%llu\n");

void rec_debugfs(struct dentry *folder)
{
	debugfs_create_file_unsafe("exits", 0444, folder, NULL, &exits_ops);
}

/* ---- Creation and end --------------------------------------------------------------------------------------- */

/* The RMM knows nothing of it any more. */
static void rec_free_granules(struct rec *rec)
{
	while (rec->num_aux)
		granule_free(rec->aux[--rec->num_aux]);
	if (rec->granule)
		granule_free(rec->granule);
	rec->granule = 0;
}

static void rec_free(struct rec *rec)
{
	rec_free_granules(rec);
	if (rec->run)
		__free_page(rec->run);
	if (rec->control)
		__free_page(rec->control);
	kfree(rec);
}

static struct rec *rec_alloc(unsigned int num_aux)
{
	struct rec *rec = kzalloc(sizeof(*rec), GFP_KERNEL_ACCOUNT);

	if (!rec)
		return NULL;
	mutex_init(&rec->lock);
	rec->run = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_DMA32);
	rec->control = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	rec->granule = granule_alloc();
	while (rec->num_aux < num_aux) {
		rec->aux[rec->num_aux] = granule_alloc();
		if (!rec->aux[rec->num_aux])
			break;
		rec->num_aux++;
	}
	if (rec->run && rec->control && rec->granule && rec->num_aux == num_aux)
		return rec;
	rec_free(rec);
	return NULL;
}

static int call_rec_create(struct realm *realm, struct rec *rec, const struct realm_rec_create *params)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_DMA32);
	struct rmi_rec_params *rmm;
	unsigned int i;
	u64 status;

	if (!page)
		return -ENOMEM;
	rmm = page_address(page);
	rmm->flags = params->flags;
	rmm->mpidr = params->mpidr;
	rmm->pc = params->pc;
	memcpy(rmm->gprs, params->gprs, sizeof(rmm->gprs));
	rmm->num_aux = rec->num_aux;
	for (i = 0; i < rec->num_aux; i++)
		rmm->aux[i] = rec->aux[i];
	status = rmi(NULL, RMI_REC_CREATE, realm->rd, rec->granule, page_to_phys(page));
	__free_page(page);
	return status == RMI_SUCCESS ? 0 : realm_refused(realm, RMI_REC_CREATE, status);
}

/* Returns the REC's number. */
int rec_create(struct realm *realm, const struct realm_rec_create *params)
{
	u64 out[4], status;
	struct rec *rec;
	int err;

	if (params->flags & ~REALM_REC_RUNNABLE)
		return -EINVAL;
	if (realm->num_recs == REALM_MAX_RECS)
		return -ENOSPC;
	status = rmi(out, RMI_REC_AUX_COUNT, realm->rd);
	if (status != RMI_SUCCESS || out[0] > REC_MAX_AUX)
		return realm_refused(realm, RMI_REC_AUX_COUNT, status);
	rec = rec_alloc(out[0]);
	if (!rec)
		return -ENOMEM;
	err = call_rec_create(realm, rec, params);
	if (err) {
		rec_free(rec);
		return err;
	}
	realm->recs[realm->num_recs] = rec;
	smp_store_release(&realm->num_recs, realm->num_recs + 1);
	return realm->num_recs - 1;
}

/* Under the realm's lock. Who still runs one is on the way out; who comes later finds it destroyed. */
void rec_destroy_all(struct realm *realm)
{
	unsigned int i;
	u64 status;

	for (i = 0; i < realm->num_recs; i++) {
		struct rec *rec = realm->recs[i];

		mutex_lock(&rec->lock);
		status = rmi(NULL, RMI_REC_DESTROY, rec->granule);
		if (status != RMI_SUCCESS)
			pr_warn("realm: REC_DESTROY failed with status %llx\n", status);
		rec_free_granules(rec);
		mutex_unlock(&rec->lock);
	}
}

/* The file is gone. */
void rec_free_all(struct realm *realm)
{
	while (realm->num_recs)
		rec_free(realm->recs[--realm->num_recs]);
}

static struct rec *rec_find(struct realm *realm, unsigned long number)
{
	return number < smp_load_acquire(&realm->num_recs) ? realm->recs[number] : NULL;
}

int rec_map(struct realm *realm, struct vm_area_struct *vma)
{
	unsigned long pages_each = REALM_REC_SIZE >> PAGE_SHIFT;
	struct rec *rec = rec_find(realm, vma->vm_pgoff / pages_each);
	int err;

	if (!rec || vma->vm_pgoff % pages_each || vma->vm_end - vma->vm_start != REALM_REC_SIZE ||
	    !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTCOPY);
	err = vm_insert_page(vma, vma->vm_start, rec->run);
	return err ?: vm_insert_page(vma, vma->vm_start + PAGE_SIZE, rec->control);
}

int rec_psci(struct realm *realm, const struct realm_psci *psci)
{
	struct rec *caller = rec_find(realm, psci->caller), *target = rec_find(realm, psci->target);
	u64 status;

	if (!caller || !target)
		return -EINVAL;
	status = rmi(NULL, RMI_PSCI_COMPLETE, caller->granule, target->granule, psci->status);
	return status == RMI_SUCCESS ? 0 : realm_refused(realm, RMI_PSCI_COMPLETE, status);
}

/* ---- Running ------------------------------------------------------------------------------------------------ */

/*
 * KVM hands the EL1 timers' interrupts to its own guests: they may have been left active on this CPU, and an active
 * interrupt is not signalled again, so that the realm's timers would not break in. Only another task can have done
 * that, hence the look at the count of task switches.
 */
static void own_timer_irqs(struct rec *rec)
{
	unsigned long switches = current->nvcsw + current->nivcsw;
	unsigned int cpu = smp_processor_id();
	int i;

	if (rec->thread == current->pid && rec->cpu == cpu && rec->switches == switches)
		return;
	for (i = 0; i < ARRAY_SIZE(timer_irqs); i++)
		irq_set_irqchip_state(timer_irqs[i], IRQCHIP_STATE_ACTIVE, false);
	rec->thread = current->pid;
	rec->cpu = cpu;
	rec->switches = switches;
}

static unsigned int timer_output(u64 control, unsigned int timer)
{
	/* ENABLE and ISTATUS without IMASK. */
	return (control & 7) == 5 ? timer : 0;
}

static bool gic_wants_attention(const struct rmi_rec_exit *exit)
{
	unsigned int i;

	for (i = 0; i < REC_LRS; i++)
		if ((exit->gicv3_lrs[i] & (LR_STATE | LR_EOI)) == LR_EOI)
			return true;
	return exit->gicv3_misr != 0;
}

/* Whether an exit is no concern of the VMM's; the page is then ready for the next entry. */
static bool can_continue(struct rec *rec, struct rmi_rec_run *run, unsigned int timers)
{
	struct rmi_rec_enter *enter = &run->enter;
	const struct rmi_rec_exit *exit = &run->exit;

	if ((exit->reason != REC_EXIT_IRQ && exit->reason != REC_EXIT_FIQ) || timers != rec->timers ||
	    gic_wants_attention(exit))
		return false;
	enter->flags &= REC_ENTER_TRAP_WFI | REC_ENTER_TRAP_WFE;
	enter->gicv3_hcr &= ~GENMASK_ULL(31, 27);
	memcpy(enter->gicv3_lrs, exit->gicv3_lrs, sizeof(enter->gicv3_lrs));
	return true;
}

static bool wanted_elsewhere(const struct realm_control *control)
{
	return signal_pending(current) || READ_ONCE(control->immediate_exit) || realm_closing();
}

/*
 * False: not entered, someone wants the thread. Interrupts are off from the last look at that until the SMC: one that
 * arrives in between stays pending and ends the entry at once, so that a kick is never lost.
 */
static bool enter_once(struct rec *rec, const struct realm_control *control, u64 *status)
{
	bool entered = false;

	preempt_disable();
	own_timer_irqs(rec);
	local_irq_disable();
	if (!wanted_elsewhere(control)) {
		*status = rmi(NULL, RMI_REC_ENTER, rec->granule, page_to_phys(rec->run));
		entered = true;
	}
	local_irq_enable();
	preempt_enable();
	return entered;
}

static int rec_run(struct realm *realm, struct rec *rec)
{
	struct realm_control *control = page_address(rec->control);
	struct rmi_rec_run *run = page_address(rec->run);
	unsigned int timers;
	u64 status;

	if (!enter_once(rec, control, &status))
		return -EINTR;
	do {
		atomic64_inc(&exits);
		control->entries++;
		if (rmi_realm_is_off(status))
			return -ESHUTDOWN;
		if (status != RMI_SUCCESS)
			return realm_refused(realm, RMI_REC_ENTER, status);
		timers = timer_output(run->exit.cntp_ctl, TIMER_P) | timer_output(run->exit.cntv_ctl, TIMER_V);
		cond_resched();
		if (wanted_elsewhere(control) || !can_continue(rec, run, timers))
			break;
		control->interrupts++;
		/* Not entered after all: the VMM gets the exit as it is, and its list registers are where they belong. */
	} while (enter_once(rec, control, &status));
	rec->timers = timers;
	return 0;
}

int rec_enter(struct realm *realm, unsigned long number)
{
	struct rec *rec = rec_find(realm, number);
	int err;

	if (!rec)
		return -EINVAL;
	if (!mutex_trylock(&rec->lock))
		return -EBUSY;
	err = realm_closing() ? -ENODEV : rec_run(realm, rec);
	mutex_unlock(&rec->lock);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include "memory.h"
#include "realm_ops.h"
#include "rmi.h"
#include "state.h"
#include "tap.h"

#define GICD_CTLR      UINT64_C(0x08000000)
#define GICR_SGI       UINT64_C(0x080b0000) /* second frame of CPU 0's redistributor */
#define GICR_ISENABLER UINT64_C(0x100)
#define GICR_PRIORITY  UINT64_C(0x400)
#define GICD_ARE_GROUP1 0x12U
#define SPURIOUS       UINT64_C(1023)

uint64_t run_interrupt = SPURIOUS;
bool run_expired;
uint64_t run_left_at;

void run_init(void)
{
	unsigned int i;

	*(volatile uint32_t *)GICD_CTLR = GICD_ARE_GROUP1;
	for (i = 16; i < 32; i += 4)
		*(volatile uint32_t *)(GICR_SGI + GICR_PRIORITY + i) = 0xa0a0a0a0U;
	/* Maintenance, EL2 timer, virtual and physical EL1 timers: the PPIs that end a realm's stay. */
	*(volatile uint32_t *)(GICR_SGI + GICR_ISENABLER) = 1U << 25 | 1U << 26 | 1U << 27 | 1U << 30;
	WRITE_SYSREG(s3_4_c12_c9_5, 0xf);  /* ICC_SRE_EL2 */
	__asm__ volatile("isb");
	WRITE_SYSREG(s3_0_c4_c6_0, 0xf0);  /* ICC_PMR_EL1 */
	WRITE_SYSREG(s3_0_c12_c12_7, 1);   /* ICC_IGRPEN1_EL1 */
	__asm__ volatile("isb");
}

void take_interrupts(void)
{
	uint64_t id = READ_SYSREG(s3_0_c12_c12_0);

	run_expired = (READ_SYSREG(cnthp_ctl_el2) & 4) != 0;
	WRITE_SYSREG(cnthp_ctl_el2, 0);
	__asm__ volatile("isb");
	run_interrupt = id;
	while (id < SPURIOUS - 3) {
		WRITE_SYSREG(s3_0_c12_c12_1, id);
		__asm__ volatile("isb");
		id = READ_SYSREG(s3_0_c12_c12_0);
	}
}

void arm_host_timer(uint64_t ticks)
{
	WRITE_SYSREG(cnthp_cval_el2, READ_SYSREG(cntpct_el0) + ticks);
	WRITE_SYSREG(cnthp_ctl_el2, 1);
	__asm__ volatile("isb");
}

uint64_t enter_for(struct realm *realm, unsigned int rec, uint64_t ticks)
{
	uint64_t status;

	arm_host_timer(ticks != 0 ? ticks : READ_SYSREG(cntfrq_el0) >> WATCHDOG_SECONDS_SHIFT);
	status = rmi(RMI_REC_ENTER, realm->rec[rec].pa, realm->run).status;
	run_left_at = READ_SYSREG(cntpct_el0);
	take_interrupts();
	return status;
}

uint64_t enter(struct realm *realm, unsigned int rec)
{
	return enter_for(realm, rec, 0);
}

uint64_t ask_registers(struct realm *realm, unsigned int rec, const uint64_t *registers)
{
	struct rec_run *run = run_page(realm);
	unsigned int i;

	page_fill(realm->run, 0);
	for (i = 0; i < 12; i++)
		run->enter.gprs[i] = registers[i];
	return enter(realm, rec);
}

bool answered_registers(struct realm *realm, unsigned int rec, const uint64_t *registers, const char *file, int line)
{
	uint64_t status = ask_registers(realm, rec, registers);
	const struct rec_run *run = run_page(realm);

	/* One of the EL1 timers may still have something to say. */
	while (status == RMI_SUCCESS && run->exit.reason == EXIT_IRQ && !run_expired)
		status = enter(realm, rec);
	return expect_equal(file, line, "status of REC_ENTER", status, RMI_SUCCESS) &&
	       expect_equal(file, line, "exit reason", run->exit.reason, EXIT_HOST_CALL) &&
	       expect_equal(file, line, "answered operation", run->exit.imm, registers[0]);
}

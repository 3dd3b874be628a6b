/* SPDX-License-Identifier: Apache-2.0 */
/* A defect of the RMM: say everything that helps to find it, then stop this CPU for good. */
#include "target.h"

static void stop(void) __attribute__((noreturn));
static void stop(void)
{
	for (;;)
		__asm__ volatile("wfi");
}

static void line(const char *name, uint64_t value)
{
	console_text(name);
	console_text(" ");
	console_hex(value);
	console_text("\n");
}

static void system_registers(void)
{
	line("  cpu     ", READ_SYSREG(mpidr_el1));
	line("  esr_el2 ", READ_SYSREG(esr_el2));
	line("  elr_el2 ", READ_SYSREG(elr_el2));
	line("  far_el2 ", READ_SYSREG(far_el2));
	line("  hpfar   ", READ_SYSREG(hpfar_el2));
	line("  spsr_el2", READ_SYSREG(spsr_el2));
	line("  hcr_el2 ", READ_SYSREG(hcr_el2));
	line("  vttbr   ", READ_SYSREG(vttbr_el2));
}

void panic(const char *text)
{
	/* Even before the manifest named a console there is only this one on the board. */
	console_open(UART0_BASE);
	console_text("\nRMM panic: ");
	console_text(text);
	line("\n  caller  ", (uint64_t)(uintptr_t)__builtin_return_address(0));
	system_registers();
	stop();
}

void fatal_exception(const uint64_t *regs, uint64_t slot)
{
	unsigned int i;

	console_open(UART0_BASE);
	console_text("\nRMM fatal exception, vector ");
	console_hex(slot);
	console_text("\n");
	system_registers();
	for (i = 0; i < 32; i++) {
		char name[8] = "  x00";

		name[3] = (char)('0' + i / 10);
		name[4] = (char)('0' + i % 10);
		line(i == 31 ? "  sp " : name, regs[i]);
	}
	stop();
}

void fatal_overflow(uint64_t sp)
{
	console_open(UART0_BASE);
	line("\nRMM stack overflow, sp", sp);
	system_registers();
	stop();
}

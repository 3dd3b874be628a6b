/* SPDX-License-Identifier: Apache-2.0 */
/* What only the target build has: linker symbols, boot, EL3 calls, console. The core never includes this. */
#ifndef RMM_TARGET_H
#define RMM_TARGET_H

#include "types.h"

#define UART0_BASE      UINT64_C(0x09000000)
#define EL3_SHARED_PAGE UINT64_C(0x418ff000)
#define NS_ALIAS        UINT64_C(0x1000000000)

extern char image_start[], text_end[], rodata_end[], image_end[];
extern char large_start[], large_end[], stacks_start[], stacks_end[];

struct mmu_registers {
	uint64_t mair, tcr, ttbr0, sctlr;
};
extern struct mmu_registers mmu_registers;

#define READ_SYSREG(name)                                                   \
	({                                                                  \
		uint64_t sysreg_value_;                                     \
		__asm__ volatile("mrs %0, " #name : "=r"(sysreg_value_));   \
		sysreg_value_;                                              \
	})
#define WRITE_SYSREG(name, value)                                           \
	do {                                                                \
		uint64_t sysreg_input_ = (value);                           \
		__asm__ volatile("msr " #name ", %0" ::"r"(sysreg_input_)); \
	} while (0)
#define ISB() __asm__ volatile("isb" ::: "memory")

/* head.S */
void mmu_enable(void);
/* el3.S */
void el3_request(const uint64_t *answer, uint64_t *request);
/* access.S */
bool access_copy(void *to, const void *from, size_t bytes);
bool access_wipe(void *granule);
/* mmu.c */
void mmu_build(void);
/* boot.c: status for RMM_BOOT_COMPLETE. */
int64_t boot_cold(uint64_t cpu, uint64_t version, uint64_t cpus, uint64_t shared_page);
int64_t boot_warm(uint64_t cpu);
/* arch_target.c: say which CPU this is, by its linear number. */
void cpu_init(unsigned int number);
/* rec_target.c: EL2 registers that say what a realm may do; the same for all. */
void cpu_init_traps(void);
/* main.c */
void main_loop(int64_t boot_status) __attribute__((noreturn));
/* console.c */
void console_open(uint64_t base);
void console_text(const char *text);
void console_hex(uint64_t value);
/* panic.c */
void panic(const char *text) __attribute__((noreturn));
void fatal_exception(const uint64_t *regs, uint64_t slot) __attribute__((noreturn));
void fatal_overflow(uint64_t sp) __attribute__((noreturn));

#endif

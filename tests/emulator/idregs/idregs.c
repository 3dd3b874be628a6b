/* SPDX-License-Identifier: Apache-2.0 */
/* Print every ID register as `S3_0_C0_Cx_y 0x…`, or `undefined` instead of the value, on the guest's UART. */
#include <stdint.h>

#include "registers.h"

#define UART       UINT64_C(0x09000000)
#define UART_FR    UINT64_C(0x18)
#define UART_FULL  (UINT32_C(1) << 5)

#define RSI_VERSION      UINT64_C(0xC4000190)
#define RSI_REALM_CONFIG UINT64_C(0xC4000196)
#define ABI_1_0          UINT64_C(0x10000)

/* For the vectors (start.S). */
volatile uint64_t trapped = 0;

/* Of RsiRealmConfig, only the width of addresses matters here. */
static struct {
	uint64_t ipa_width, rest[511];
} config __attribute__((aligned(4096)));

static uint64_t uart;

void guest_main(void);

struct smc_result {
	uint64_t x0, x1;
};

static struct smc_result smc(uint64_t function, uint64_t argument)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = argument;

	__asm__ volatile("smc #0"
			 : "+r"(x0), "+r"(x1)
			 :
			 : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
			   "x16", "x17", "memory");
	return (struct smc_result){ x0, x1 };
}

/* Devices are in the Unprotected half of a realm's addresses, whose top bit is set. */
static void find_uart(void)
{
	struct smc_result version = smc(RSI_VERSION, ABI_1_0);

	uart = UART;
	if (version.x0 == 0 && version.x1 == ABI_1_0 && smc(RSI_REALM_CONFIG, (uint64_t)&config).x0 == 0)
		uart |= UINT64_C(1) << (config.ipa_width - 1);
}

static void print_character(char character)
{
	unsigned int patience = 1000;

	while ((*(volatile uint32_t *)(uart + UART_FR) & UART_FULL) != 0 && patience-- != 0)
		;
	*(volatile uint32_t *)uart = (uint32_t)(unsigned char)character;
}

static void print_text(const char *text)
{
	for (; *text != '\0'; text++)
		print_character(*text);
}

static void print_hex(uint64_t value)
{
	unsigned int shift = 64;

	print_text("0x");
	while (shift != 0) {
		unsigned int digit = (unsigned int)(value >> (shift -= 4)) & 15;

		print_character((char)(digit < 10 ? '0' + digit : 'a' - 10 + digit));
	}
}

static void print_register(const char *name, uint64_t value)
{
	print_text(name);
	print_text(" ");
	if (trapped != 0)
		print_text("undefined");
	else
		print_hex(value);
	print_text("\n");
}

#define PRINT(op0, op1, crn, crm, op2)                                                                        \
	do {                                                                                                  \
		uint64_t value = 0;                                                                           \
		trapped = 0;                                                                                  \
		__asm__ volatile("mrs %0, " ID_NAME(op0, op1, crn, crm, op2) : "+r"(value) : : "memory");     \
		print_register(ID_NAME(op0, op1, crn, crm, op2), value);                                      \
	} while (0);

void guest_main(void)
{
	find_uart();
	__asm__ volatile("msr csselr_el1, xzr; isb");
	ID_OTHERS(PRINT)
	ID_UNALLOCATED(PRINT)
	ID_FEATURES(PRINT)
	print_text("idregs done\n");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#define UART0    UINT64_C(0x09000000)
#define UART_DR  0x00U
#define UART_FR  0x18U
#define UART_FULL (1U << 5)

void *memset(void *to, int value, __SIZE_TYPE__ bytes);
void *memcpy(void *to, const void *from, __SIZE_TYPE__ bytes);
_Noreturn void bail_out_exception(uint64_t slot, uint64_t esr, uint64_t elr, uint64_t far);

static void print_character(char character)
{
	while ((*(volatile uint32_t *)(UART0 + UART_FR) & UART_FULL) != 0)
		;
	*(volatile uint32_t *)(UART0 + UART_DR) = (uint32_t)(unsigned char)character;
}

void print_text(const char *text)
{
	for (; *text != '\0'; text++)
		print_character(*text);
}

void print_hex(uint64_t value)
{
	unsigned int shift = 60;

	print_text("0x");
	while (shift != 0 && value >> shift == 0)
		shift -= 4;
	for (;; shift -= 4) {
		print_character("0123456789abcdef"[value >> shift & 15]);
		if (shift == 0)
			return;
	}
}

void print_decimal(uint64_t value)
{
	char digits[21];
	unsigned int at = 20;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	print_text(&digits[at]);
}

void print_bytes(const void *bytes, uint64_t count)
{
	const unsigned char *at = bytes;

	for (; count != 0; count--, at++) {
		print_character("0123456789abcdef"[*at >> 4]);
		print_character("0123456789abcdef"[*at & 15]);
	}
}

void bail_out(const char *why)
{
	print_text("Bail out! ");
	print_text(why);
	print_text("\n");
	power_off();
}

void bail_out_exception(uint64_t slot, uint64_t esr, uint64_t elr, uint64_t far)
{
	print_text("Bail out! exception in vector ");
	print_decimal(slot);
	print_text(": ESR ");
	print_hex(esr);
	print_text(" ELR ");
	print_hex(elr);
	print_text(" FAR ");
	print_hex(far);
	print_text("\n");
	power_off();
}

/* The compiler calls these. */
void *memset(void *to, int value, __SIZE_TYPE__ bytes)
{
	unsigned char *at = to;

	while (bytes-- != 0)
		*at++ = (unsigned char)value;
	return to;
}

void *memcpy(void *to, const void *from, __SIZE_TYPE__ bytes)
{
	unsigned char *at = to;
	const unsigned char *source = from;

	while (bytes-- != 0)
		*at++ = *source++;
	return to;
}

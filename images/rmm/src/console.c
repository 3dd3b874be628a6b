/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UART0, which BL31, this monitor and the host's kernel share (QEMU gives the Realm world no other: UART1 is
 * in the Secure address space only). So only the banner and fatal errors are printed.
 */
#include "target.h"

#define PL011_DR      0x00U
#define PL011_FR      0x18U
#define PL011_FR_TXFF (1U << 5)

static uint64_t uart;

void console_open(uint64_t base)
{
	uart = base;
}

static void put(char c)
{
	volatile uint32_t *data = (volatile uint32_t *)(uintptr_t)(uart + PL011_DR);
	volatile uint32_t *flags = (volatile uint32_t *)(uintptr_t)(uart + PL011_FR);

	while ((*flags & PL011_FR_TXFF) != 0)
		;
	*data = (uint32_t)c;
}

void console_text(const char *text)
{
	if (uart == 0)
		return;
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			put('\r');
		put(*text);
	}
}

void console_hex(uint64_t value)
{
	char text[17];
	unsigned int i;

	for (i = 0; i < 16; i++)
		text[i] = "0123456789abcdef"[(value >> (60 - 4 * i)) & 15];
	text[16] = '\0';
	console_text(text);
}

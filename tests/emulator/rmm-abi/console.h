/* SPDX-License-Identifier: Apache-2.0 */
/* Text on UART0. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdint.h>

void print_text(const char *text);
/* As 0x…, without leading zeroes. */
void print_hex(uint64_t value);
void print_decimal(uint64_t value);
void print_bytes(const void *bytes, uint64_t count);
/* The machine cannot go on: say why and switch it off. */
_Noreturn void bail_out(const char *why);

_Noreturn void power_off(void);

#endif

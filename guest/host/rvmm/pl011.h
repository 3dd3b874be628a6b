/* SPDX-License-Identifier: Apache-2.0 */
/* PL011 UART (DDI 0183), as much of it as a guest's console needs. Not thread-safe: callers hold the device lock. */
#ifndef RVMM_PL011_H
#define RVMM_PL011_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PL011_RX_BYTES 1024U

struct pl011 {
	void (*transmit)(void *context, uint8_t byte);
	void *context;
	uint8_t rx[PL011_RX_BYTES];
	unsigned int rx_head, rx_count;
	bool tx_done;              /* raw TX interrupt: set by each byte sent, cleared by the guest */
	uint32_t mask;             /* UARTIMSC */
	uint32_t ibrd, fbrd, lcr, cr, ifls, dmacr, ilpr; /* kept for the guest, without effect */
};

void pl011_init(struct pl011 *uart, void (*transmit)(void *context, uint8_t byte), void *context);

/* Registers; `offset` < 4096. Others than those of the manual read as zero and ignore writes. */
uint32_t pl011_read(struct pl011 *uart, uint32_t offset);
void pl011_write(struct pl011 *uart, uint32_t offset, uint32_t value);

/* How many bytes pl011_receive() would take now, and take them. */
size_t pl011_room(const struct pl011 *uart);
void pl011_receive(struct pl011 *uart, const uint8_t *bytes, size_t count);

/* Take back what was received and not yet read; how many bytes that are, PL011_RX_BYTES at most. */
size_t pl011_take(struct pl011 *uart, uint8_t *bytes);

/* Level of the interrupt line. */
bool pl011_interrupt(const struct pl011 *uart);

#endif

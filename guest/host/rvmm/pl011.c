/* SPDX-License-Identifier: Apache-2.0 */
#include "pl011.h"

enum {
	UARTDR = 0x00,
	UARTFR = 0x18,
	UARTILPR = 0x20,
	UARTIBRD = 0x24,
	UARTFBRD = 0x28,
	UARTLCR_H = 0x2c,
	UARTCR = 0x30,
	UARTIFLS = 0x34,
	UARTIMSC = 0x38,
	UARTRIS = 0x3c,
	UARTMIS = 0x40,
	UARTICR = 0x44,
	UARTDMACR = 0x48,
	UARTPERIPHID0 = 0xfe0,
};

#define FR_RXFE (1U << 4)
#define FR_RXFF (1U << 6)
#define FR_TXFE (1U << 7)
#define INT_RX  (1U << 4)
#define INT_TX  (1U << 5)
#define INT_ALL 0x7ffU
#define CR_RESET   0x300U /* RXE, TXE */
#define IFLS_RESET 0x12U

/* UARTPeriphID0..3 and UARTPCellID0..3: what an AMBA bus driver finds the device by. */
static const uint8_t identification[] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

void pl011_init(struct pl011 *uart, void (*transmit)(void *context, uint8_t byte), void *context)
{
	*uart = (struct pl011){ .transmit = transmit, .context = context, .cr = CR_RESET, .ifls = IFLS_RESET };
}

/* Received bytes are due at once, whatever the trigger level: there is no line to be silent for a while. */
static uint32_t raw_interrupts(const struct pl011 *uart)
{
	return (uart->rx_count != 0 ? INT_RX : 0) | (uart->tx_done ? INT_TX : 0);
}

static uint32_t flags(const struct pl011 *uart)
{
	return FR_TXFE | (uart->rx_count == 0 ? FR_RXFE : 0) | (uart->rx_count == PL011_RX_BYTES ? FR_RXFF : 0);
}

static uint32_t pop(struct pl011 *uart)
{
	uint8_t byte;

	if (uart->rx_count == 0)
		return 0;
	byte = uart->rx[uart->rx_head];
	uart->rx_head = (uart->rx_head + 1) % PL011_RX_BYTES;
	uart->rx_count--;
	return byte;
}

uint32_t pl011_read(struct pl011 *uart, uint32_t offset)
{
	if (offset >= UARTPERIPHID0 && offset < 0x1000)
		return identification[(offset - UARTPERIPHID0) / 4];
	switch (offset) {
	case UARTDR:
		return pop(uart);
	case UARTFR:
		return flags(uart);
	case UARTILPR:
		return uart->ilpr;
	case UARTIBRD:
		return uart->ibrd;
	case UARTFBRD:
		return uart->fbrd;
	case UARTLCR_H:
		return uart->lcr;
	case UARTCR:
		return uart->cr;
	case UARTIFLS:
		return uart->ifls;
	case UARTIMSC:
		return uart->mask;
	case UARTRIS:
		return raw_interrupts(uart);
	case UARTMIS:
		return raw_interrupts(uart) & uart->mask;
	case UARTDMACR:
		return uart->dmacr;
	default:
		return 0;
	}
}

void pl011_write(struct pl011 *uart, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case UARTDR:
		uart->transmit(uart->context, (uint8_t)value);
		uart->tx_done = true;
		break;
	case UARTILPR:
		uart->ilpr = value & 0xff;
		break;
	case UARTIBRD:
		uart->ibrd = value & 0xffff;
		break;
	case UARTFBRD:
		uart->fbrd = value & 0x3f;
		break;
	case UARTLCR_H:
		uart->lcr = value & 0xff;
		break;
	case UARTCR:
		uart->cr = value & 0xffff;
		break;
	case UARTIFLS:
		uart->ifls = value & 0x3f;
		break;
	case UARTIMSC:
		uart->mask = value & INT_ALL;
		break;
	case UARTICR:
		if ((value & INT_TX) != 0)
			uart->tx_done = false;
		break;
	case UARTDMACR:
		uart->dmacr = value & 7;
		break;
	default:
		break;
	}
}

size_t pl011_room(const struct pl011 *uart)
{
	return PL011_RX_BYTES - uart->rx_count;
}

void pl011_receive(struct pl011 *uart, const uint8_t *bytes, size_t count)
{
	size_t i;

	for (i = 0; i < count && uart->rx_count < PL011_RX_BYTES; i++) {
		uart->rx[(uart->rx_head + uart->rx_count) % PL011_RX_BYTES] = bytes[i];
		uart->rx_count++;
	}
}

size_t pl011_take(struct pl011 *uart, uint8_t *bytes)
{
	size_t count = 0;

	while (uart->rx_count != 0)
		bytes[count++] = (uint8_t)pop(uart);
	return count;
}

bool pl011_interrupt(const struct pl011 *uart)
{
	return (raw_interrupts(uart) & uart->mask) != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where input goes: to the virtio console while the guest uses that, else to the UART. What the UART's driver has not
 * fetched moves along, and nothing is lost when neither has room. Pure logic, under the device lock.
 */
#ifndef RVMM_KEYBOARD_H
#define RVMM_KEYBOARD_H

#include "pl011.h"
#include "virtio.h"

#define KEYBOARD_BYTES 256U

struct keyboard {
	struct pl011 *uart;
	struct virtio *console;
	size_t count;
	uint8_t held[KEYBOARD_BYTES + PL011_RX_BYTES];
};

/* Pass on what is held; how much more is taken then, at most KEYBOARD_BYTES. */
size_t keyboard_room(struct keyboard *keyboard);

/* Take input, no more than there was room for; what is too much for the buffer is lost. */
void keyboard_type(struct keyboard *keyboard, const uint8_t *bytes, size_t count);

#endif

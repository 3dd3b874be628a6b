/* SPDX-License-Identifier: Apache-2.0 */
#include "keyboard.h"

#include <string.h>

#include "virtio_console.h"

/* Take back what the UART's driver has not fetched: it was typed before what is held. */
static void take_from_uart(struct keyboard *keyboard)
{
	uint8_t bytes[PL011_RX_BYTES];
	size_t count = pl011_take(keyboard->uart, bytes);

	memmove(keyboard->held + count, keyboard->held, keyboard->count);
	memcpy(keyboard->held, bytes, count);
	keyboard->count += count;
}

static size_t give_uart(const struct keyboard *keyboard)
{
	size_t room = pl011_room(keyboard->uart), count = keyboard->count < room ? keyboard->count : room;

	pl011_receive(keyboard->uart, keyboard->held, count);
	return count;
}

size_t keyboard_room(struct keyboard *keyboard)
{
	bool console = virtio_console_in_use(keyboard->console);
	size_t done, room;

	if (console)
		take_from_uart(keyboard);
	done = console ? virtio_console_receive(keyboard->console, keyboard->held, keyboard->count) : give_uart(keyboard);
	keyboard->count -= done;
	memmove(keyboard->held, keyboard->held + done, keyboard->count);
	/* Asked for in any case: it makes sure that we hear of room to come. */
	if (console)
		room = virtio_console_has_room(keyboard->console) ? KEYBOARD_BYTES : 0;
	else
		room = pl011_room(keyboard->uart);
	if (keyboard->count != 0)
		return 0;
	return room < KEYBOARD_BYTES ? room : KEYBOARD_BYTES;
}

void keyboard_type(struct keyboard *keyboard, const uint8_t *bytes, size_t count)
{
	/* With what the UART may have to give back. */
	size_t room = sizeof(keyboard->held) - keyboard->count - (PL011_RX_BYTES - pl011_room(keyboard->uart));

	if (count > room)
		count = room;
	memcpy(keyboard->held + keyboard->count, bytes, count);
	keyboard->count += count;
	(void)keyboard_room(keyboard);
}

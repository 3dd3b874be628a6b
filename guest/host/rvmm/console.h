/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's console: everything it prints goes to DIR/console.log and to whoever is connected to DIR/console.sock, who
 * gets the last lines first. The log lies in the host's memory: it ends with a line that says so at CONSOLE_LOG_BYTES. Input is taken from one connection at a time: the first that sends anything has the keyboard
 * until it leaves; what others send meanwhile is dropped, and they are told so.
 */
#ifndef RVMM_CONSOLE_H
#define RVMM_CONSOLE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONSOLE_CLIENTS 16U
#define CONSOLE_LOG_BYTES (UINT64_C(16) << 20)
/* Descriptors that console_poll() adds. */
#define CONSOLE_POLL    (2U + CONSOLE_CLIENTS)

struct console;

/* NULL with failure(). `dir`: path of the folder, which fits into a socket's name. */
struct console *console_open(const char *dir);

/* Bytes from the guest; from any thread. */
void console_write(struct console *console, const uint8_t *bytes, size_t count);

/* The main thread: what to poll for, and what to do then. `room`: how much input the guest takes now; `input` gets it, once at
 * most. */
unsigned int console_poll(struct console *console, struct pollfd *fds, size_t room);
void console_serve(struct console *console, const struct pollfd *fds, unsigned int count, size_t room,
		   void (*input)(void *context, const uint8_t *bytes, size_t count), void *context);

/* Everything printed is in the log and sent. */
void console_flush(struct console *console);

/* DIR/console.sock stays: by its path it is out of reach of a VMM that has confined itself. */
void console_close(struct console *console);

#endif

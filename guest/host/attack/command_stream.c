// SPDX-License-Identifier: Apache-2.0
/*
 * Search memory that comes in as a stream: what the emulator sees, which no granule protection stands before.
 *
 * It comes in pieces of whole pages in the order of their addresses, each behind a header: u64 address and u64 bytes, as this
 * computer has them. What is left out is zero; the last header is that of the end and has no bytes. BASE is where it begins.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "say.h"
#include "window.h"

/* Fill `bytes` unless the stream ends before. */
static size_t fill(uint8_t *bytes, size_t wanted)
{
	size_t got = 0;
	ssize_t count = 1;

	while (got < wanted && count > 0) {
		count = read(STDIN_FILENO, bytes + got, wanted - got);
		if (count < 0)
			fail("standard input");
		got += (size_t)count;
	}
	return got;
}

/* `listed`: blocks that begin in a page of the list. A page that has all that is looked for is told. */
struct stream {
	struct needles needles;
	struct found all, listed;
	struct addresses list;
	struct region region;
	uint64_t address;
};

static void look_into(void *context, const uint8_t *page, size_t bytes, size_t readable)
{
	struct stream *stream = context;

	stream->region.pages++;
	if (bytes == PAGE && all_zero(page, PAGE)) {
		stream->region.zero++;
	} else {
		needles_sweep(&stream->needles, page, bytes, readable, &stream->all);
		if (addresses_have(&stream->list, stream->address) &&
		    needles_sweep(&stream->needles, page, bytes, readable, &stream->listed) == stream->needles.count)
			printf("{\"event\":\"whole\",\"address\":%" PRIu64 "}\n", stream->address);
	}
	stream->address += PAGE;
}

/* Pages up to `address` are zero. The first of them is looked into: a block that begins before it may end in it. */
static void pass_over(struct stream *stream, struct window *window, uint64_t address)
{
	uint64_t pages;

	if (window->held != 0) {
		memset(window_room(window), 0, PAGE);
		window_visit(window, PAGE, true, look_into, stream);
	}
	pages = (address - stream->address) / PAGE;
	stream->region.pages += pages;
	stream->region.zero += pages;
	stream->address = address;
}

/* False at the end of all. */
static bool search_piece(struct stream *stream, struct window *window)
{
	uint64_t header[2], held = window->held / PAGE * PAGE;
	size_t left;

	if (fill((uint8_t *)header, sizeof(header)) != sizeof(header))
		fail_with("the memory ends without a word");
	if (header[0] % PAGE != 0 || header[1] % PAGE != 0 || header[0] < stream->address + held)
		fail_with("%#" PRIx64 ": memory that is no next piece", header[0]);
	if (header[0] > stream->address + held)
		pass_over(stream, window, header[0]);
	for (left = header[1]; left != 0; left -= left < WINDOW_CHUNK ? left : WINDOW_CHUNK) {
		size_t wanted = left < WINDOW_CHUNK ? left : WINDOW_CHUNK;

		if (fill(window_room(window), wanted) != wanted)
			fail_with("the memory ends in the middle of a piece");
		window_visit(window, wanted, false, look_into, stream);
	}
	if (header[1] == 0)
		window_visit(window, 0, true, look_into, stream);
	return header[1] != 0;
}

static void search(struct stream *stream)
{
	static struct window window;

	while (search_piece(stream, &window))
		;
}

int command_stream(int count, char **words)
{
	struct stream stream = { .region = { .name = "god", .seconds = now() } };
	uint8_t *file;
	size_t bytes;

	if (count != 2 && count != 3)
		fail_with("stream NEEDLES BASE [LIST]");
	file = read_file(words[0], &bytes);
	if (!needles_index(&stream.needles, file, bytes) || !found_init(&stream.all, stream.needles.count) ||
	    !found_init(&stream.listed, stream.needles.count))
		fail_with("%s: no file of needles", words[0]);
	stream.address = number(words[1]);
	if (count == 3)
		stream.list = addresses_read(words[2]);
	search(&stream);
	stream.region.seconds = now() - stream.region.seconds;
	say_region(&stream.region, &stream.all, stream.needles.count);
	stream.region = (struct region){ .name = "god-listed", .pages = stream.list.count };
	say_region(&stream.region, &stream.listed, stream.needles.count);
	needles_free(&stream.needles);
	found_free(&stream.all);
	found_free(&stream.listed);
	free(stream.list.list);
	free(file);
	return 0;
}

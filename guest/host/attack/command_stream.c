// SPDX-License-Identifier: Apache-2.0
/* Search memory that comes in as a stream: what the emulator sees, which no granule protection stands before. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

static void search(struct stream *stream)
{
	static struct window window;
	size_t got;

	do {
		got = fill(window_room(&window), WINDOW_CHUNK);
		window_visit(&window, got, got < WINDOW_CHUNK, look_into, stream);
	} while (got == WINDOW_CHUNK);
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

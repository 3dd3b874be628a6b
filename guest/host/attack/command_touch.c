// SPDX-License-Identifier: Apache-2.0
/* Read one byte of random pages, each in a process of its own. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "exposed.h"
#include "ram.h"
#include "say.h"

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t value = *state += UINT64_C(0x9e3779b97f4a7c15);

	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

static void touch_byte(void *byte)
{
	(void)*(const volatile uint8_t *)byte;
}

static bool faults(struct ram *ram, uint64_t address)
{
	struct span *span = ram_span(ram, address);

	if (span == NULL)
		fail_with("%#" PRIx64 " is no System RAM", address);
	return !run_exposed(touch_byte, (void *)(uintptr_t)(span->bytes + (address - span->base)));
}

/* `count` addresses of the list, distinct, in random order; fewer if it is shorter. */
static struct addresses choose_listed(const struct addresses *list, size_t count, uint64_t *seed)
{
	struct addresses chosen = { allocate(list->count + 1, sizeof(uint64_t)), list->count < count ? list->count : count };
	size_t i;

	if (list->count != 0)
		memcpy(chosen.list, list->list, list->count * sizeof(uint64_t));
	for (i = 0; i < chosen.count; i++) {
		size_t other = i + next_random(seed) % (list->count - i);
		uint64_t address = chosen.list[other];

		chosen.list[other] = chosen.list[i];
		chosen.list[i] = address;
	}
	return chosen;
}

/* `count` addresses of System RAM that are not in the list; one may come twice. */
static struct addresses choose_others(const struct ram *ram, const struct addresses *list, size_t count, uint64_t *seed)
{
	struct addresses chosen = { allocate(count + 1, sizeof(uint64_t)), 0 };

	while (chosen.count < count) {
		size_t page = next_random(seed) % ram->pages, i = 0;
		uint64_t address;

		for (; page >= ram->spans[i].pages; i++)
			page -= ram->spans[i].pages;
		address = ram->spans[i].base + page * PAGE;
		if (!addresses_have(list, address))
			chosen.list[chosen.count++] = address;
	}
	return chosen;
}

/*
 * A page that changed sides meanwhile says nothing and is left out: "moved". Of the others "attempted" were touched, and
 * the touch of "faulted" was the end of its process.
 */
int command_touch(int count, char **words)
{
	struct addresses before = addresses_read(DELEGATED), chosen, after;
	size_t i, faulted = 0, moved = 0;
	bool delegated = count == 3 && strcmp(words[0], "delegated") == 0;
	struct ram ram;
	uint64_t seed;
	bool *died;

	if (count != 3 || (!delegated && strcmp(words[0], "other") != 0))
		fail_with("touch delegated|other COUNT SEED");
	seed = number(words[2]);
	ram_open(&ram, false);
	chosen = delegated ? choose_listed(&before, number(words[1]), &seed) :
			     choose_others(&ram, &before, number(words[1]), &seed);
	died = allocate(chosen.count + 1, sizeof(*died));
	for (i = 0; i < chosen.count; i++)
		died[i] = faults(&ram, chosen.list[i]);
	after = addresses_read(DELEGATED);
	for (i = 0; i < chosen.count; i++) {
		if (addresses_have(&after, chosen.list[i]) != delegated)
			moved++;
		else
			faulted += died[i];
	}
	printf("{\"event\":\"touch\",\"kind\":\"%s\",\"attempted\":%zu,\"faulted\":%zu,\"moved\":%zu,\"delegated\":%zu}\n",
	       words[0], chosen.count - moved, faulted, moved, after.count);
	return 0;
}

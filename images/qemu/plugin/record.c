/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record.h"

#include <string.h>

#include "place.h"

/* Memory the log may take; a guest in a marker loop must not eat the host. */
#define LOG_LIMIT_BYTES (UINT64_C(256) << 20)

static struct {
	GMutex lock;
	GPtrArray *records;
	size_t limit;           /* records beyond it are dropped, and counted as such */
	uint64_t dropped, mismatches;
} marker_log;

static size_t record_size(void)
{
	return sizeof(struct record) + counter.smp * TALLY_VALUES * sizeof(uint64_t);
}

void record_init(void)
{
	g_mutex_init(&marker_log.lock);
	marker_log.records = g_ptr_array_new();
	marker_log.limit = LOG_LIMIT_BYTES / record_size();
}

/*
 * Other vCPUs go on while they are read: each value is one they had during the
 * marker (aligned 64-bit loads do not tear), exact if they are idle.
 */
static void snapshot(uint64_t *values)
{
	int known = qemu_plugin_num_vcpus();

	for (unsigned v = 0; v < counter.smp && (int)v < known; v++) {
		const uint64_t *from = counter_primary(counter_score(v));

		for (size_t i = 0; i < TALLY_VALUES; i++)
			values[v * TALLY_VALUES + i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	}
}

static bool methods_differ(const struct score *score)
{
	return memcmp(&score->fast, &score->reference, sizeof score->fast) != 0;
}

void record_marker(unsigned vcpu, uint32_t event)
{
	GByteArray *buffer = counter.buffers[vcpu];
	struct record *record;

	g_mutex_lock(&marker_log.lock);
	if (counter.mode == MODE_BOTH && methods_differ(counter_score(vcpu)))
		marker_log.mismatches++;
	if (marker_log.records->len >= marker_log.limit) {
		marker_log.dropped++;
	} else {
		record = g_malloc0(record_size());
		record->seq = marker_log.records->len;
		record->value = place_read(REG_X0, buffer);
		record->event = event;
		record->vcpu = vcpu;
		record->place = place_now(buffer);
		snapshot(record->values);
		g_ptr_array_add(marker_log.records, record);
	}
	g_mutex_unlock(&marker_log.lock);
}

/* With the lock held. */
static struct log_state state_now(void)
{
	return (struct log_state){ .total = marker_log.records->len, .dropped = marker_log.dropped,
				   .mismatches = marker_log.mismatches };
}

struct log_state record_state(void)
{
	struct log_state state;

	g_mutex_lock(&marker_log.lock);
	state = state_now();
	g_mutex_unlock(&marker_log.lock);
	return state;
}

/*
 * The log is locked only to copy pointers: records do not change, so vCPUs do
 * not wait while they are formatted.
 */
const struct record **record_list(uint64_t since, uint64_t most, uint64_t *count, struct log_state *state)
{
	const struct record **list;

	g_mutex_lock(&marker_log.lock);
	*state = state_now();
	*count = since < state->total ? MIN(state->total - since, most) : 0;
	list = g_new(const struct record *, *count);
	for (uint64_t i = 0; i < *count; i++)
		list[i] = g_ptr_array_index(marker_log.records, since + i);
	g_mutex_unlock(&marker_log.lock);
	return list;
}

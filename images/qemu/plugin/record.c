/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots of the counters, and the log of executed markers. */
#include <string.h>

#include "counter.h"

/* Memory the log may take; a guest in a marker loop must not eat the host. */
#define LOG_LIMIT_BYTES (UINT64_C(256) << 20)

struct score *record_score(unsigned vcpu)
{
	return qemu_plugin_scoreboard_find(counter.scores, vcpu);
}

static size_t record_size(void)
{
	return sizeof(struct record) + counter.smp * TALLY_VALUES * sizeof(uint64_t);
}

void record_init(void)
{
	g_mutex_init(&counter.log.lock);
	counter.log.records = g_ptr_array_new();
	counter.log.limit = LOG_LIMIT_BYTES / record_size();
}

/* The values that are reported as "the" counters: fast, unless only reference is kept. */
const uint64_t *record_primary(const struct score *score)
{
	const struct tally *tally =
		counter.mode == MODE_REFERENCE ? &score->reference : &score->fast;

	return &tally->insns[0][0];
}

/*
 * Other vCPUs go on while they are read: each value is one they had during the
 * marker (aligned 64-bit loads do not tear), exact if they are idle.
 */
static void snapshot(uint64_t *values)
{
	int known = qemu_plugin_num_vcpus();

	for (unsigned v = 0; v < counter.smp && (int)v < known; v++) {
		const uint64_t *from = record_primary(record_score(v));

		for (size_t i = 0; i < TALLY_VALUES; i++)
			values[v * TALLY_VALUES + i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	}
}

static bool methods_differ(const struct score *score)
{
	return memcmp(&score->fast, &score->reference, sizeof score->fast) != 0;
}

/* Called by the vCPU that executes the marker, before the marker is counted. */
void record_marker(unsigned vcpu, uint32_t event)
{
	struct marker_log *log = &counter.log;
	GByteArray *buffer = counter.buffers[vcpu];
	struct record *record;

	g_mutex_lock(&log->lock);
	if (counter.mode == MODE_BOTH && methods_differ(record_score(vcpu)))
		log->mismatches++;
	if (log->records->len >= log->limit) {
		log->dropped++;
	} else {
		record = g_malloc0(record_size());
		record->seq = log->records->len;
		record->value = place_read(REG_X0, buffer);
		record->event = event;
		record->vcpu = vcpu;
		record->place = place_now(buffer);
		snapshot(record->values);
		g_ptr_array_add(log->records, record);
	}
	g_mutex_unlock(&log->lock);
}

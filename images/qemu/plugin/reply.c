/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shapes of the answers are in docs/counting.md. */
#include "reply.h"

#include "orch_marker.h"
#include "record.h"

/* Markers in one answer; a client asks again from `next`. */
#define MARKERS_PER_REPLY 1024

static const char *const world_names[WORLDS] = {
	[WORLD_NON_SECURE] = "non_secure", [WORLD_REALM] = "realm",
	[WORLD_ROOT] = "root", [WORLD_SECURE] = "secure",
};
static const char *const level_names[LEVELS] = {
	[LEVEL_EL0] = "el0", [LEVEL_EL1] = "el1", [LEVEL_EL2] = "el2",
	[LEVEL_EL3] = "el3", [LEVEL_HOST_EL0] = "host_el0",
};
static const char *const mode_names[] = {
	[MODE_FAST] = "fast", [MODE_REFERENCE] = "reference", [MODE_BOTH] = "both",
};

GString *reply_error(const char *message)
{
	GString *s = g_string_new(NULL);

	g_string_printf(s, "{\"error\":\"%s\"}", message);
	return s;
}

static void append_names(GString *s, const char *key, const char *const *names, int n)
{
	g_string_append_printf(s, ",\"%s\":[", key);
	for (int i = 0; i < n; i++)
		g_string_append_printf(s, "%s\"%s\"", i ? "," : "", names[i]);
	g_string_append_c(s, ']');
}

GString *reply_info(void)
{
	GString *s = g_string_new(NULL);

	g_string_printf(s,
		"{\"version\":\"%s\",\"mode\":\"%s\",\"arch\":\"aarch64\",\"smp\":%u,"
		"\"marker\":{\"abi\":%d,\"opcode\":%u,\"mask\":%u},"
		"\"qemu_api\":{\"built\":%d,\"min\":%d,\"current\":%d}",
		COUNTER_VERSION, mode_names[counter.mode], counter.smp, ORCH_MARKER_ABI,
		ORCH_MARKER_OPCODE_BASE, ORCH_MARKER_OPCODE_MASK, QEMU_PLUGIN_VERSION,
		counter.api_min, counter.api_cur);
	append_names(s, "worlds", world_names, WORLDS);
	append_names(s, "levels", level_names, LEVELS);
	g_string_append_c(s, '}');
	return s;
}

static void append_row(GString *s, const uint64_t *values, size_t columns)
{
	for (size_t c = 0; c < columns; c++)
		g_string_append_printf(s, "%c%" PRIu64, c ? ',' : '[',
				       __atomic_load_n(&values[c], __ATOMIC_RELAXED));
	g_string_append_c(s, ']');
}

/* `rows` x `columns` values as nested arrays. */
static void append_matrix(GString *s, const uint64_t *values, size_t rows, size_t columns)
{
	for (size_t r = 0; r < rows; r++) {
		g_string_append_c(s, r ? ',' : '[');
		append_row(s, values + r * columns, columns);
	}
	g_string_append_c(s, ']');
}

/* The TALLY_VALUES values of each vCPU as "counts", "moves" and "exits". */
static void append_tallies(GString *s, const uint64_t *const *tallies)
{
	g_string_append(s, "\"counts\":[");
	for (unsigned v = 0; v < counter.smp; v++) {
		g_string_append(s, v ? "," : "");
		append_matrix(s, tallies[v], WORLDS, LEVELS);
	}
	g_string_append(s, "],\"moves\":[");
	for (unsigned v = 0; v < counter.smp; v++) {
		g_string_append(s, v ? "," : "");
		append_matrix(s, tallies[v] + WORLDS * LEVELS, WORLDS, WORLDS);
	}
	g_string_append(s, "],\"exits\":[");
	for (unsigned v = 0; v < counter.smp; v++) {
		g_string_append(s, v ? "," : "");
		append_row(s, tallies[v] + WORLDS * LEVELS + WORLDS * WORLDS, WORLDS);
	}
	g_string_append_c(s, ']');
}

static void append_log_state(GString *s)
{
	struct log_state state = record_state();

	g_string_append_printf(s, ",\"markers\":%" PRIu64 ",\"dropped\":%" PRIu64,
			       state.total, state.dropped);
	if (counter.mode == MODE_BOTH)
		g_string_append_printf(s, ",\"mismatches\":%" PRIu64, state.mismatches);
}

static void append_stale(GString *s)
{
	g_string_append(s, ",\"stale\":[");
	for (unsigned v = 0; v < counter.smp; v++)
		g_string_append_printf(s, "%s%" PRIu64, v ? "," : "",
			__atomic_load_n(&counter_score(v)->stale, __ATOMIC_RELAXED));
	g_string_append_c(s, ']');
}

/* Not before all vCPUs are known: QEMU may move the scoreboard until then. */
GString *reply_counters(void)
{
	const uint64_t **tallies;
	GString *s;

	if (__atomic_load_n(&counter.started, __ATOMIC_ACQUIRE) < counter.smp)
		return reply_error("the vCPUs have not started yet");

	tallies = g_new(const uint64_t *, counter.smp);
	for (unsigned v = 0; v < counter.smp; v++)
		tallies[v] = counter_primary(counter_score(v));
	s = g_string_new("{");
	append_tallies(s, tallies);
	append_stale(s);
	append_log_state(s);
	if (counter.mode == MODE_BOTH) {
		for (unsigned v = 0; v < counter.smp; v++)
			tallies[v] = &counter_score(v)->reference.insns[0][0];
		g_string_append(s, ",\"reference\":{");
		append_tallies(s, tallies);
		g_string_append_c(s, '}');
	}
	g_string_append_c(s, '}');
	g_free(tallies);
	return s;
}

static void append_record(GString *s, const struct record *record)
{
	const uint64_t **tallies = g_new(const uint64_t *, counter.smp);

	for (unsigned v = 0; v < counter.smp; v++)
		tallies[v] = record->values + v * TALLY_VALUES;
	g_string_append_printf(s,
		"{\"seq\":%" PRIu64 ",\"event\":%u,\"id\":%" PRIu64 ",\"end\":%s,"
		"\"vcpu\":%u,\"world\":\"%s\",\"level\":\"%s\",",
		record->seq, record->event, record->value & ORCH_MARKER_ID_MAX,
		record->value & ORCH_MARKER_END ? "true" : "false", record->vcpu,
		world_names[record->place.world], level_names[record->place.level]);
	append_tallies(s, tallies);
	g_string_append_c(s, '}');
	g_free(tallies);
}

static GString *markers(uint64_t since, uint64_t most)
{
	struct log_state state;
	uint64_t count;
	const struct record **records = record_list(since, most, &count, &state);
	GString *s = g_string_new(NULL);

	g_string_printf(s, "{\"next\":%" PRIu64 ",\"total\":%" PRIu64 ",\"dropped\":%" PRIu64
			",\"markers\":[", count ? since + count : MIN(since, state.total),
			state.total, state.dropped);
	for (uint64_t i = 0; i < count; i++) {
		g_string_append(s, i ? "," : "");
		append_record(s, records[i]);
	}
	g_string_append(s, "]}");
	g_free(records);
	return s;
}

GString *reply_markers(uint64_t since)
{
	return markers(since, MARKERS_PER_REPLY);
}

GString *reply_report(void)
{
	GString *parts[] = { reply_info(), reply_counters(), markers(0, G_MAXUINT64) };
	GString *s = g_string_new(NULL);

	g_string_printf(s, "{\"info\":%s,\"counters\":%s,\"log\":%s}\n",
			parts[0]->str, parts[1]->str, parts[2]->str);
	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
		g_string_free(parts[i], TRUE);
	return s;
}

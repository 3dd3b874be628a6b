/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is planted into translation blocks.
 *
 * Fast method. A block is translated for the place (world, level) the vCPU is in
 * at that moment, and its additions go to that place's counter. Its instructions
 * are grouped into segments: all but the last of a segment are certain to be
 * followed by the next (a64_is_plain()), so they are executed all or none and one
 * addition of the segment's length, at its start, counts them exactly. A block
 * that a fault cuts short is therefore never over-counted.
 *
 * Is the place still right when the block is executed again? The level is: QEMU
 * keys blocks by, among others, the translation regime (mmu index: E3, E2, E20_2,
 * E20_0, E10_1, E10_0), which tells all our levels apart, EL3 and so Root
 * included. The world is not part of the key: two blocks of Realm and
 * Non-secure EL1 at the same physical address with the same flags would be one.
 * That takes a granule that changes its PAS with its contents untouched, which
 * nothing does that wipes granules. It is checked all the same: each block
 * compares its zone (zone_of(): world, and guest or not) with the vCPU's current
 * one. Every change of world passes through EL3, whose blocks are tagged right,
 * hence the comparison fails at the first block after each change; the callback
 * then reads the registers. It counts the move, and `stale` if the block's tag is
 * not the truth. After a stale tag the current zone is set to the truth, so that
 * every further execution of that block is noticed as well.
 *
 * A guest's exits come with the same comparison: it fails at the first block
 * behind a change from EL0 or EL1 of a guest to EL2 or EL3, and back.
 *
 * With an access to a device that is not its block's last instruction, QEMU
 * abandons the block there and executes the instruction again alone, in a block
 * (CF_MEMI_ONLY) for which it ignores all our requests: the instruction was
 * counted when its segment started, and is not counted again.
 */
#include "translate.h"

#include "a64.h"
#include "orch_marker.h"
#include "place.h"
#include "record.h"

/* A run of instructions that is counted by one addition. */
struct segment {
	struct qemu_plugin_insn *first;
	uint64_t length;
};

static qemu_plugin_u64 score_entry(size_t offset)
{
	return (qemu_plugin_u64){ .score = counter.scores, .offset = offset };
}

static size_t insns_offset(struct place place)
{
	return offsetof(struct score, fast.insns) +
	       ((size_t)place.world * LEVELS + (size_t)place.level) * sizeof(uint64_t);
}

static void *pack_place(struct place place)
{
	return GUINT_TO_POINTER((guint)place.world * LEVELS + (guint)place.level);
}

static struct place unpack_place(const void *data)
{
	guint packed = GPOINTER_TO_UINT(data);

	return (struct place){ .world = (enum world)(packed / LEVELS),
			       .level = (enum level)(packed % LEVELS) };
}

/* Note that the vCPU is at `now`. */
static void enter(struct tally *tally, struct place now)
{
	uint64_t from = tally->zone, to = zone_of(now);

	if (from != 0 && from != to) {
		uint64_t world = (from - 1) / 2, was_guest = (from - 1) % 2;

		if (world != now.world)
			tally->moves[world][now.world]++;
		if (was_guest && !zone_is_guest(now))
			tally->exits[world]++;
	}
	tally->zone = to;
}

/* Fast method, rare: the block's zone is not the one this vCPU was in last. */
static void on_other_zone(unsigned vcpu, void *data)
{
	struct place tag = unpack_place(data), now = place_now(counter.buffers[vcpu]);
	struct score *score = counter_score(vcpu);

	if (now.world != tag.world || now.level != tag.level)
		score->stale++;
	enter(&score->fast, now);
}

/* Reference method: read where we are, add one. */
static void on_every_insn(unsigned vcpu, void *data)
{
	struct place now = place_now(counter.buffers[vcpu]);
	struct tally *tally = &counter_score(vcpu)->reference;

	(void)data;
	tally->insns[now.world][now.level]++;
	enter(tally, now);
}

static void on_marker(unsigned vcpu, void *data)
{
	record_marker(vcpu, GPOINTER_TO_UINT(data));
}

static void plant_segment(const struct segment *segment, struct place place)
{
	if (segment->length && counter.mode != MODE_REFERENCE)
		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
			segment->first, QEMU_PLUGIN_INLINE_ADD_U64,
			score_entry(insns_offset(place)), segment->length);
}

/*
 * Opcode, or 0 (an encoding that is not plain) if this is not a readable A64
 * instruction, such as the target of a misaligned branch.
 */
static uint32_t opcode_of(const struct qemu_plugin_insn *insn, bool a64)
{
	uint32_t opcode = 0;

	if (!a64 || qemu_plugin_insn_data(insn, &opcode, sizeof opcode) != sizeof opcode)
		return 0;
	return GUINT32_FROM_LE(opcode);
}

/*
 * Markers are segments of their own, so that everything before one has been
 * counted, and nothing behind it, when it is executed. Its callback is planted
 * ahead of its addition: a snapshot does not include the marker itself.
 */
static void plant_insns(struct qemu_plugin_tb *tb, struct place place, bool a64)
{
	struct segment segment = { 0 };

	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint32_t opcode = opcode_of(insn, a64);
		bool marker = ORCH_MARKER_IS(opcode);

		if (marker) {
			plant_segment(&segment, place);
			segment.length = 0;
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, on_marker, QEMU_PLUGIN_CB_R_REGS,
				GUINT_TO_POINTER(ORCH_MARKER_EVENT(opcode)));
		}
		if (counter.mode != MODE_FAST)
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, on_every_insn, QEMU_PLUGIN_CB_R_REGS, NULL);
		if (segment.length++ == 0)
			segment.first = insn;
		if (marker || !a64_is_plain(opcode)) {
			plant_segment(&segment, place);
			segment.length = 0;
		}
	}
	plant_segment(&segment, place);
}

void translate_block(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	GByteArray *buffer = g_byte_array_sized_new(8);
	struct place place = place_now(buffer);
	bool a64 = place_is_a64(buffer);

	(void)id;
	g_byte_array_free(buffer, TRUE);
	if (counter.mode != MODE_REFERENCE)
		qemu_plugin_register_vcpu_tb_exec_cond_cb(
			tb, on_other_zone, QEMU_PLUGIN_CB_R_REGS, QEMU_PLUGIN_COND_NE,
			score_entry(offsetof(struct score, fast.zone)),
			zone_of(place), pack_place(place));
	plant_insns(tb, place, a64);
}

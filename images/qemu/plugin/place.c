/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where is the vCPU: security state and exception level, from its registers. */
#include "place.h"

#include <string.h>

#define SCR_EL3_NS   (UINT64_C(1) << 0)
#define SCR_EL3_NSE  (UINT64_C(1) << 62)
#define HCR_EL2_TGE  (UINT64_C(1) << 27)
#define HCR_EL2_E2H  (UINT64_C(1) << 34)
#define PSTATE_NRW   (UINT64_C(1) << 4)  /* 1 = AArch32 */

static const char *const reg_names[REGS] = {
	[REG_CPSR] = "cpsr", [REG_X0] = "x0", [REG_SCR_EL3] = "SCR_EL3",
	[REG_HCR_EL2] = "HCR_EL2", [REG_GPCCR_EL3] = "GPCCR_EL3",
};

static struct qemu_plugin_register *regs[REGS];

static struct qemu_plugin_register *find(const GArray *list, const char *name)
{
	for (guint i = 0; i < list->len; i++) {
		const qemu_plugin_reg_descriptor *d =
			&g_array_index(list, qemu_plugin_reg_descriptor, i);

		if (!strcmp(d->name, name))
			return d->handle;
	}
	return NULL;
}

/* The translation callback is not told its vCPU, so one set of handles has to serve all. */
void place_find_registers(void)
{
	GArray *list = qemu_plugin_get_registers();

	for (int r = 0; r < REGS; r++) {
		struct qemu_plugin_register *handle = find(list, reg_names[r]);

		if (!handle && (r == REG_CPSR || r == REG_X0))
			counter_fatal("QEMU offers no register %s", reg_names[r]);
		if (counter.started == 0)
			regs[r] = handle;
		else if (handle != regs[r])
			counter_fatal("vCPUs of different models: %s", reg_names[r]);
	}
	g_array_free(list, TRUE);
}

uint64_t place_read(enum reg reg, GByteArray *buffer)
{
	uint64_t value = 0;
	int size;

	if (!regs[reg])
		return 0;
	g_byte_array_set_size(buffer, 0);
	size = qemu_plugin_read_register(regs[reg], buffer);
	if (size < 4 || size > 8 || (guint)size != buffer->len)
		counter_fatal("cannot read register %s", reg_names[reg]);
	memcpy(&value, buffer->data, (size_t)size);
	return GUINT64_FROM_LE(value);
}

/* Exception level of an AArch32 mode (Arm ARM, "AArch32 PE mode descriptions"). */
static enum level aarch32_level(uint64_t pstate)
{
	switch (pstate & 0xf) {
	case 0x0: return LEVEL_EL0; /* User */
	case 0x6: return LEVEL_EL3; /* Monitor */
	case 0xa: return LEVEL_EL2; /* Hyp */
	default:  return LEVEL_EL1;
	}
}

static enum level level_of(uint64_t pstate, GByteArray *buffer)
{
	const uint64_t in_host = HCR_EL2_E2H | HCR_EL2_TGE;
	enum level level = pstate & PSTATE_NRW ? aarch32_level(pstate)
					       : (enum level)(pstate >> 2 & 3);

	if (level == LEVEL_EL0 && (place_read(REG_HCR_EL2, buffer) & in_host) == in_host)
		return LEVEL_HOST_EL0;
	return level;
}

/*
 * Arm ARM, "Security states": with RME, EL3 is Root and SCR_EL3.{NSE,NS} says
 * what is below: {0,0} Secure, {0,1} Non-secure, {1,1} Realm, {1,0} reserved.
 * Without RME EL3 is Secure; without EL3 all is Non-secure.
 */
static enum world world_of(enum level level, GByteArray *buffer)
{
	uint64_t scr;

	if (!regs[REG_SCR_EL3])
		return WORLD_NON_SECURE;
	if (level == LEVEL_EL3)
		return regs[REG_GPCCR_EL3] ? WORLD_ROOT : WORLD_SECURE;
	scr = place_read(REG_SCR_EL3, buffer);
	switch (scr & (SCR_EL3_NSE | SCR_EL3_NS)) {
	case 0:
		return WORLD_SECURE;
	case SCR_EL3_NS:
		return WORLD_NON_SECURE;
	case SCR_EL3_NSE | SCR_EL3_NS:
		return WORLD_REALM;
	default:
		counter_fatal("reserved SCR_EL3.{NSE,NS} below EL3");
	}
}

struct place place_now(GByteArray *buffer)
{
	enum level level = level_of(place_read(REG_CPSR, buffer), buffer);

	return (struct place){ .world = world_of(level, buffer), .level = level };
}

bool place_is_a64(GByteArray *buffer)
{
	return !(place_read(REG_CPSR, buffer) & PSTATE_NRW);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "measure.h"

#include "arch.h"
#include "cpu.h"
#include "sha256.h"
#include "sha512.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

enum descriptor_type {
	DESCRIPTOR_DATA,
	DESCRIPTOR_REC,
	DESCRIPTOR_RIPAS,
};

/* RmmMeasurementDescriptor{Data,Rec,Ripas} (C1). */
struct descriptor {
	uint8_t type, pad0[7];
	uint64_t len;
	uint8_t rim[MEASUREMENT_BYTES];
	union {
		struct {
			uint64_t ipa, flags;
			uint8_t content[MEASUREMENT_BYTES];
		} data;
		struct {
			uint8_t content[MEASUREMENT_BYTES];
		} rec;
		struct {
			uint64_t base, top;
		} ripas;
		uint8_t pad1[0xb0];
	};
};
_Static_assert(offsetof(struct descriptor, len) == 0x8, "C1");
_Static_assert(offsetof(struct descriptor, rim) == 0x10, "C1");
_Static_assert(offsetof(struct descriptor, data.ipa) == 0x50, "C1");
_Static_assert(offsetof(struct descriptor, data.flags) == 0x58, "C1");
_Static_assert(offsetof(struct descriptor, data.content) == 0x60, "C1");
_Static_assert(offsetof(struct descriptor, rec.content) == 0x50, "C1");
_Static_assert(offsetof(struct descriptor, ripas.top) == 0x58, "C1");
_Static_assert(sizeof(struct descriptor) == 0x100, "C1");

/* Values live in 64-byte fields; where a hash is shorter the rest of the field is zero already, and stays so. */
static void hash(const struct rd *rd, const void *message, size_t bytes, uint8_t *field)
{
	if (rd->hash_algo == HASH_SHA_512)
		sha512(message, bytes, field);
	else
		sha256(message, bytes, field);
}

static void start(struct descriptor *descriptor, const struct realm *realm, enum descriptor_type type)
{
	memset(descriptor, 0, sizeof(*descriptor));
	descriptor->type = (uint8_t)type;
	descriptor->len = sizeof(*descriptor);
	memcpy(descriptor->rim, realm->rd->measurement[0], sizeof(descriptor->rim));
}

static void extend(const struct realm *realm, const struct descriptor *descriptor)
{
	hash(realm->rd, descriptor, sizeof(*descriptor), realm->rd->measurement[0]);
}

void measure_realm(struct rd *rd, const struct realm_params *params)
{
	struct realm_params *measured = (struct realm_params *)cpu_this()->out;

	memset(measured, 0, sizeof(*measured));
	measured->flags = params->flags;
	measured->s2sz = params->s2sz;
	measured->sve_vl = params->sve_vl;
	measured->num_bps = params->num_bps;
	measured->num_wps = params->num_wps;
	measured->pmu_num_ctrs = params->pmu_num_ctrs;
	measured->hash_algo = params->hash_algo;
	hash(rd, measured, sizeof(*measured), rd->measurement[0]);
}

void measure_data(const struct realm *realm, uint64_t ipa, uint64_t flags, const void *page)
{
	struct descriptor descriptor;

	start(&descriptor, realm, DESCRIPTOR_DATA);
	descriptor.data.ipa = ipa;
	descriptor.data.flags = flags;
	if ((flags & DATA_MEASURE) != 0)
		hash(realm->rd, page, GRANULE_SIZE, descriptor.data.content);
	extend(realm, &descriptor);
}

void measure_rec(const struct realm *realm, const struct rec_params *params)
{
	struct rec_params *measured = (struct rec_params *)cpu_this()->out;
	struct descriptor descriptor;

	memset(measured, 0, sizeof(*measured));
	measured->flags = params->flags;
	measured->pc = params->pc;
	memcpy(measured->gprs, params->gprs, sizeof(measured->gprs));
	start(&descriptor, realm, DESCRIPTOR_REC);
	hash(realm->rd, measured, sizeof(*measured), descriptor.rec.content);
	extend(realm, &descriptor);
}

void measure_ripas(const struct realm *realm, uint64_t base, uint64_t top)
{
	struct descriptor descriptor;

	start(&descriptor, realm, DESCRIPTOR_RIPAS);
	descriptor.ripas.base = base;
	descriptor.ripas.top = top;
	extend(realm, &descriptor);
}

size_t measure_bytes(const struct rd *rd)
{
	return rd->hash_algo == HASH_SHA_512 ? SHA512_BYTES : SHA256_BYTES;
}

const char *measure_name(const struct rd *rd)
{
	return rd->hash_algo == HASH_SHA_512 ? "sha-512" : "sha-256";
}

void measure_rem(const struct realm *realm, uint64_t index, const void *value, size_t bytes)
{
	uint8_t *rem = realm->rd->measurement[index];
	size_t old = measure_bytes(realm->rd);
	uint8_t message[2 * MEASUREMENT_BYTES];

	/* RemExtend (B3): the old value, then as many bytes of the new one as the realm says. */
	memcpy(message, rem, old);
	memcpy(message + old, value, bytes);
	hash(realm->rd, message, old + bytes, rem);
}

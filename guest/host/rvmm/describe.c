/* SPDX-License-Identifier: Apache-2.0 */
#include "describe.h"

#include <inttypes.h>

#include "error.h"
#include "realm_params.h"

struct description {
	FILE *out;
	const struct content *content;
};

/* ---- Values ------------------------------------------------------------------------------------------------- */

/* RFC 4648, 4. */
static void put_base64(FILE *out, const uint8_t *bytes, uint64_t count)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint64_t i;

	for (i = 0; i < count; i += 3) {
		uint64_t left = count - i;
		uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
				 (left > 2 ? bytes[i + 2] : 0U);

		(void)fputc(digits[group >> 18], out);
		(void)fputc(digits[group >> 12 & 63], out);
		(void)fputc(left > 1 ? digits[group >> 6 & 63] : '=', out);
		(void)fputc(left > 2 ? digits[group & 63] : '=', out);
	}
}

/* A JSON string. File names may have any byte: one that is not ASCII stands for the code point of its number. */
static void put_text(FILE *out, const char *text)
{
	(void)fputc('"', out);
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\')
			(void)fprintf(out, "\\u%04x", byte);
		else
			(void)fputc(byte, out);
	}
	(void)fputc('"', out);
}

static const char *truth(bool value)
{
	return value ? "true" : "false";
}

/* ---- Steps -------------------------------------------------------------------------------------------------- */

static void put_create(FILE *out)
{
	struct realm_create create = realm_params();
	unsigned int i;

	(void)fprintf(out, "{\"step\": \"create\", \"ipa_bits\": %u, \"hash_algo\": %u, \"num_bps\": %u, \"num_wps\": %u, "
			   "\"rpv\": \"", create.ipa_bits, create.hash_algo, create.num_bps, create.num_wps);
	for (i = 0; i < sizeof(create.rpv); i++)
		(void)fprintf(out, "%02x", create.rpv[i]);
	(void)fputs("\"}\n", out);
}

static int put_ripas(void *context, uint64_t base, uint64_t top)
{
	struct description *description = context;

	(void)fprintf(description->out, "{\"step\": \"ripas\", \"base\": %" PRIu64 ", \"top\": %" PRIu64
		      ", \"entry_bytes\": %" PRIu64 "}\n", base, top, RIPAS_ENTRY_BYTES);
	return 0;
}

static int put_data(void *context, uint64_t ipa, const void *bytes, uint64_t size)
{
	struct description *description = context;
	const struct population *population = &description->content->population;
	const struct layout *layout = population->layout;
	bool is_dtb = bytes == population->dtb;
	const char *source = is_dtb ? "dtb" : bytes == population->kernel ? "kernel" : "initrd";
	uint64_t count = is_dtb ? population->dtb_bytes :
			 bytes == population->kernel ? layout->kernel_bytes : layout->initrd_bytes;

	(void)size; /* `count`, padded */
	(void)fprintf(description->out, "{\"step\": \"data\", \"ipa\": %" PRIu64 ", \"flags\": %d, \"source\": \"%s\", "
		      "\"bytes\": %" PRIu64, ipa, REALM_PARAMS_DATA_FLAGS, source, count);
	if (is_dtb) {
		(void)fputs(", \"content\": \"", description->out);
		put_base64(description->out, bytes, count);
		(void)fputc('"', description->out);
	}
	(void)fputs("}\n", description->out);
	return 0;
}

static int put_rec(void *context, unsigned int index, bool runnable, uint64_t pc, uint64_t x0)
{
	struct description *description = context;
	struct realm_rec_create rec = realm_params_rec(index, runnable, pc, x0);
	unsigned int i;

	(void)fprintf(description->out, "{\"step\": \"rec\", \"index\": %u, \"mpidr\": %llu, \"flags\": %llu, \"pc\": %llu, "
		      "\"gprs\": [", index, (unsigned long long)rec.mpidr, (unsigned long long)rec.flags,
		      (unsigned long long)rec.pc);
	for (i = 0; i < sizeof(rec.gprs) / sizeof(rec.gprs[0]); i++)
		(void)fprintf(description->out, "%s%llu", i == 0 ? "" : ", ", (unsigned long long)rec.gprs[i]);
	(void)fputs("]}\n", description->out);
	return 0;
}

static int put_activate(void *context)
{
	struct description *description = context;

	(void)fputs("{\"step\": \"activate\"}\n", description->out);
	return 0;
}

int describe_population(FILE *out, const struct options *options, const struct content *content)
{
	static const struct population_steps steps = { put_ripas, put_data, put_rec, put_activate };
	struct description description = { .out = out, .content = content };

	if (options->world == WORLD_REALM)
		put_create(out);
	return population_walk(&content->population, &steps, &description);
}

/* ---- Devices ------------------------------------------------------------------------------------------------ */

static void put_net(FILE *out, const struct options *options)
{
	const uint8_t *mac = options->mac;
	uint32_t address = options->tap_address;

	(void)fprintf(out, "{\"device\": \"net\", \"slot\": %d, \"mac\": \"%02x:%02x:%02x:%02x:%02x:%02x\", \"tap\": ",
		      VIRTIO_SLOT_NET, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	put_text(out, options->tap);
	if (address != 0)
		(void)fprintf(out, ", \"tap_address\": \"%u.%u.%u.%u/%u\"", address >> 24, address >> 16 & 255,
			      address >> 8 & 255, address & 255, options->tap_prefix);
	(void)fputs("}\n", out);
}

static void put_disk(FILE *out, int slot, const char *path, bool writable)
{
	(void)fprintf(out, "{\"device\": \"disk\", \"slot\": %d, \"writable\": %s, \"file\": ", slot, truth(writable));
	put_text(out, path);
	(void)fputs("}\n", out);
}

void describe_devices(FILE *out, const struct options *options)
{
	(void)fprintf(out, "{\"device\": \"uart\", \"address\": %" PRIu64 ", \"spi\": %u}\n", UART_BASE, UART_SPI);
	(void)fprintf(out, "{\"device\": \"rtc\", \"address\": %" PRIu64 "}\n", RTC_BASE);
	(void)fprintf(out, "{\"device\": \"rng\", \"slot\": %d, \"seeded\": %s}\n", VIRTIO_SLOT_RNG, truth(options->seeded));
	(void)fprintf(out, "{\"device\": \"console\", \"slot\": %d}\n", VIRTIO_SLOT_CONSOLE);
	if (options->tap != NULL)
		put_net(out, options);
	if (options->disk != NULL)
		put_disk(out, VIRTIO_SLOT_BLK, options->disk, options->disk_writable);
	if (options->runtime != NULL)
		put_disk(out, VIRTIO_SLOT_RUNTIME, options->runtime, false);
	(void)fprintf(out, "{\"process\": \"%s\", \"mem_mib\": %u, \"vcpus\": %u, ",
		      options->world == WORLD_REALM ? "realm" : "vm", options->mem_mib, options->vcpus);
	if (options->cpu >= 0)
		(void)fprintf(out, "\"cpu\": %d, ", options->cpu);
	(void)fprintf(out, "\"pretouch\": %s, \"confined\": %s}\n", truth(options->pretouch), truth(!options->unconfined));
}

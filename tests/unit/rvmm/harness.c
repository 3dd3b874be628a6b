/* SPDX-License-Identifier: Apache-2.0 */
/* The VMM's pure parts behind a line protocol: one command a line in, one line of hexadecimal words out. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "error.h"
#include "gic.h"
#include "gic_mmio.h"
#include "harness_realm.h"
#include "harness_virtio.h"
#include "layout.h"
#include "pl011.h"
#include "pl031.h"
#include "population.h"
#include "realm_decode.h"
#include "timer.h"

#define MAX_WORDS 24

static struct gic gic;
static struct pl011 uart;
static struct pl031 rtc;
static char sent[256];
static size_t sent_count;

static void transmit(void *context, uint8_t byte)
{
	(void)context;
	if (sent_count < sizeof(sent) - 1)
		sent[sent_count++] = (char)byte;
}

static void do_layout(const uint64_t *words)
{
	uint8_t header[64] = { 0 };
	struct layout layout;
	const char *wrong;

	memcpy(header + 8, &words[2], 8);   /* text_offset */
	memcpy(header + 16, &words[3], 8);  /* image_size */
	memcpy(header + 24, &words[4], 8);  /* flags */
	memcpy(header + 56, &words[5], 4);  /* magic */
	wrong = layout_place(&layout, words[0], (unsigned int)words[1], header, words[6], words[7]);
	if (wrong != NULL)
		printf("! %s\n", wrong);
	else
		printf("%" PRIx64 " %" PRIx64 " %" PRIx64 "\n", layout.kernel, layout.initrd, layout.dtb);
}

static int show_ripas(void *context, uint64_t base, uint64_t top)
{
	(void)context;
	printf("ripas:%" PRIx64 ":%" PRIx64 " ", base, top);
	return 0;
}

static int show_data(void *context, uint64_t ipa, const void *bytes, uint64_t size)
{
	(void)context;
	printf("%s:%" PRIx64 ":%" PRIx64 " ", (const char *)bytes, ipa, size);
	return 0;
}

static int show_rec(void *context, unsigned int index, bool runnable, uint64_t pc, uint64_t x0)
{
	(void)context;
	printf("rec:%x:%x:%" PRIx64 ":%" PRIx64 " ", index, runnable, pc, x0);
	return 0;
}

static int show_activate(void *context)
{
	(void)context;
	printf("activate\n");
	return 0;
}

static void do_population(const uint64_t *words)
{
	static const struct population_steps steps = { show_ripas, show_data, show_rec, show_activate };
	struct layout layout = { .ram_bytes = words[0], .vcpus = (unsigned int)words[1], .kernel = words[2],
				 .kernel_bytes = words[3], .initrd = words[4], .initrd_bytes = words[5], .dtb = words[6] };
	struct population population = { .layout = &layout, .kernel = "kernel", .initrd = "initrd", .dtb = "dtb",
					 .dtb_bytes = words[7] };

	(void)population_walk(&population, &steps, NULL);
}

static void do_fill(const uint64_t *words)
{
	uint64_t lrs[GIC_MAX_LRS], hcr;
	unsigned int i;

	gic_fill(&gic, (unsigned int)words[0], lrs, &hcr);
	printf("%" PRIx64, hcr);
	for (i = 0; i < gic.lrs; i++)
		printf(" %" PRIx64, lrs[i]);
	printf("\n");
}

static void do_aside(const uint64_t *words)
{
	unsigned int index = 0;
	uint64_t lr = gic_set_aside(&gic, (unsigned int)words[0], (unsigned int)words[1], &index);

	printf("%llx %x\n", (unsigned long long)lr, index);
}

static void do_fold(const uint64_t *words)
{
	uint64_t lrs[GIC_MAX_LRS] = { 0 };

	memcpy(lrs, words + 2, GIC_MAX_LRS * sizeof(lrs[0]));
	printf("%x\n", gic_fold(&gic, (unsigned int)words[0], lrs, words[1]));
}

static void do_access(const uint64_t *words, bool write)
{
	uint64_t value = words[2];
	uint32_t wake = 0;
	bool there = gic_access(&gic, words[0], (unsigned int)words[1], write, &value, &wake);

	printf("%x %" PRIx64 " %x\n", there, value, wake);
}

/* A guest that does anything at all, and list registers that come back as anything; the sanitizers watch. */
static void do_fuzz(const uint64_t *words)
{
	uint64_t lrs[GIC_MAX_LRS], hcr, value, i;
	uint32_t wake;
	unsigned int cpu, lr;

	srand((unsigned int)words[0]);
	for (i = 0; i < words[1]; i++) {
		uint64_t place = ((uint64_t)rand() << 20 ^ (uint64_t)rand()) % 0x1c0000;

		value = (uint64_t)rand() << 33 ^ (uint64_t)rand() << 11 ^ (uint64_t)rand();
		if (i % 2 != 0) /* the arrays rather than the holes */
			place = (i % 4 == 1 ? 0 : GICR_BASE - GICD_BASE + 0x10000) + place % 0xd00;
		(void)gic_access(&gic, GICD_BASE + place, 1U << (rand() % 4), rand() % 3 != 0, &value, &wake);
		(void)gic_set_spi(&gic, (unsigned int)rand() % 40, rand() % 2 != 0);
		cpu = (unsigned int)rand() % gic.cpus;
		(void)gic_set_ppi(&gic, cpu, (unsigned int)rand() % 40, rand() % 2 != 0);
		(void)gic_send_sgi(&gic, cpu, value);
		(void)gic_deactivate(&gic, cpu, value & 0x7f);
		gic_fill(&gic, cpu, lrs, &hcr);
		for (lr = 0; lr < GIC_MAX_LRS; lr++)
			lrs[lr] = (uint64_t)rand() << 33 ^ (uint64_t)rand();
		(void)gic_fold(&gic, cpu, lrs, value);
	}
	printf("0\n");
}

static void do_gic(const char *name, const uint64_t *words)
{
	if (strcmp(name, "gic") == 0)
		gic_init(&gic, (unsigned int)words[0], (unsigned int)words[1]), printf("0\n");
	else if (strcmp(name, "read") == 0)
		do_access(words, false);
	else if (strcmp(name, "write") == 0)
		do_access(words, true);
	else if (strcmp(name, "ppi") == 0)
		printf("%x\n", gic_set_ppi(&gic, (unsigned int)words[0], (unsigned int)words[1], words[2] != 0));
	else if (strcmp(name, "spi") == 0)
		printf("%x\n", gic_set_spi(&gic, (unsigned int)words[0], words[1] != 0));
	else if (strcmp(name, "sgi") == 0)
		printf("%x\n", gic_send_sgi(&gic, (unsigned int)words[0], words[1]));
	else if (strcmp(name, "deactivate") == 0)
		printf("%x\n", gic_deactivate(&gic, (unsigned int)words[0], words[1]));
	else if (strcmp(name, "waiting") == 0)
		printf("%x\n", gic_waiting(&gic, (unsigned int)words[0]));
	else if (strcmp(name, "fill") == 0)
		do_fill(words);
	else if (strcmp(name, "aside") == 0)
		do_aside(words);
	else if (strcmp(name, "fold") == 0)
		do_fold(words);
	else if (strcmp(name, "fuzz") == 0)
		do_fuzz(words);
	else
		exit(2);
}

static void do_uart(const char *name, const uint64_t *words, const char *rest)
{
	if (strcmp(name, "uart") == 0)
		pl011_init(&uart, transmit, NULL), sent_count = 0, printf("0\n");
	else if (strcmp(name, "uread") == 0)
		printf("%x\n", pl011_read(&uart, (uint32_t)words[0]));
	else if (strcmp(name, "uwrite") == 0)
		pl011_write(&uart, (uint32_t)words[0], (uint32_t)words[1]), printf("0\n");
	else if (strcmp(name, "utype") == 0)
		pl011_receive(&uart, (const uint8_t *)rest, strlen(rest)), printf("%zx\n", pl011_room(&uart));
	else if (strcmp(name, "uirq") == 0)
		printf("%x\n", pl011_interrupt(&uart));
	else if (strcmp(name, "usent") == 0)
		printf("%.*s\n", (int)sent_count, sent), sent_count = 0;
	else
		do_gic(name, words);
}

/* Open a file, to be written if words[0] says so, and read words[2] bytes from words[1] on, in two parts. */
static void do_disk(const uint64_t *words, const char *path)
{
	uint8_t bytes[4096];
	struct iovec parts[2] = { { bytes, 100 }, { bytes + 100, (size_t)words[2] - 100 } };
	struct disk disk;
	size_t i;

	memset(bytes, 0xee, sizeof(bytes));
	if (disk_open(&disk, path, words[0] != 0) < 0) {
		printf("! %s\n", failure());
	} else if (disk_transfer(&disk, false, parts, 2, words[1]) < 0) {
		printf("%" PRIx64 " !\n", disk.sectors);
	} else {
		printf("%" PRIx64 " ", disk.sectors);
		for (i = 0; i < words[2]; i++)
			printf("%02x", bytes[i]);
		printf("\n");
	}
	disk_close(&disk);
}

static void do_rtc(const char *name, const uint64_t *words)
{
	if (strcmp(name, "rtc") == 0)
		rtc = (struct pl031){ .ahead = 0 }, printf("0\n");
	else if (strcmp(name, "rtcread") == 0)
		printf("%x\n", pl031_read(&rtc, (uint32_t)words[0], (uint32_t)words[1]));
	else
		pl031_write(&rtc, (uint32_t)words[0], (uint32_t)words[1], (uint32_t)words[2]), printf("0\n");
}

static void do_decode(const uint64_t *words)
{
	struct rmi_rec_exit exit;
	struct sync sync;

	memset(&exit, 0, sizeof(exit));
	exit.esr = words[0];
	exit.far = words[1];
	exit.hpfar = words[2];
	exit.gprs[0] = words[3];
	sync = realm_decode_sync(&exit, words[4]);
	printf("%x %" PRIx64 " %" PRIx64 " %x %x %x\n", sync.kind, sync.ipa, sync.value, sync.bytes, sync.write, sync.timed);
}

int main(void)
{
	char line[4096], name[16];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		uint64_t words[MAX_WORDS] = { 0 };
		struct timer timer;
		int used = 0, more, i;

		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%15s%n", name, &used) != 1)
			return 2;
		const char *rest = line[used] == ' ' ? line + used + 1 : line + used;

		for (i = 0; i < MAX_WORDS && sscanf(line + used, "%" SCNx64 "%n", &words[i], &more) == 1; i++)
			used += more;
		timer = (struct timer){ .ctl = words[0], .cval = words[1] };
		if (strcmp(name, "layout") == 0)
			do_layout(words);
		else if (strcmp(name, "population") == 0)
			do_population(words);
		else if (strcmp(name, "asserted") == 0)
			printf("%x\n", timer_asserted(&timer, words[2]));
		else if (strcmp(name, "delay") == 0)
			printf("%" PRIx64 "\n", timer_delay(&timer, words[2], words[3]));
		else if (strncmp(name, "r_", 2) == 0)
			do_realm(name, words, rest);
		else if (strncmp(name, "n_", 2) == 0)
			do_device(name, words);
		else if (name[0] == 'v')
			do_virtio(name, words);
		else if (strcmp(name, "disk") == 0)
			do_disk(words, strchr(rest, '/'));
		else if (strncmp(name, "rtc", 3) == 0)
			do_rtc(name, words);
		else if (strcmp(name, "decode") == 0)
			do_decode(words);
		else
			do_uart(name, words, rest);
		(void)fflush(stdout);
	}
	return 0;
}

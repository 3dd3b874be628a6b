/* SPDX-License-Identifier: Apache-2.0 */
#include "devtree.h"

#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

#define PHANDLE_GIC   1U
#define PHANDLE_CLOCK 2U

/* Bindings: interrupt-controller/arm,gic-v3.yaml. */
#define IRQ_SPI        0U
#define IRQ_PPI        1U
#define IRQ_LEVEL_HIGH 4U

#define UART_CLOCK_HZ 24000000U

/* What PL031 says of itself: Linux then does not ask, which is an exit for each byte of it. */
#define RTC_PERIPHID 0x00041031U

/* A writer that remembers its first error: callers look once, at the end. */
struct writer {
	void *fdt;
	int error;
};

static void keep(struct writer *writer, int error)
{
	if (writer->error == 0)
		writer->error = error;
}

static void begin(struct writer *writer, const char *name)
{
	keep(writer, fdt_begin_node(writer->fdt, name));
}

static void end(struct writer *writer)
{
	keep(writer, fdt_end_node(writer->fdt));
}

static void text(struct writer *writer, const char *name, const char *value)
{
	keep(writer, fdt_property(writer->fdt, name, value, (int)strlen(value) + 1));
}

static void word(struct writer *writer, const char *name, uint32_t value)
{
	keep(writer, fdt_property_u32(writer->fdt, name, value));
}

static void wide(struct writer *writer, const char *name, uint64_t value)
{
	keep(writer, fdt_property_u64(writer->fdt, name, value));
}

static void flag(struct writer *writer, const char *name)
{
	keep(writer, fdt_property(writer->fdt, name, NULL, 0));
}

static void words(struct writer *writer, const char *name, const uint32_t *values, unsigned int count)
{
	uint32_t cells[16];
	unsigned int i;

	for (i = 0; i < count; i++)
		cells[i] = cpu_to_fdt32(values[i]);
	keep(writer, fdt_property(writer->fdt, name, cells, (int)(4 * count)));
}

/* `count` pairs of address and size. */
static void regions(struct writer *writer, const uint64_t *values, unsigned int count)
{
	uint64_t cells[8];
	unsigned int i;

	for (i = 0; i < 2 * count; i++)
		cells[i] = cpu_to_fdt64(values[i]);
	keep(writer, fdt_property(writer->fdt, "reg", cells, (int)(16 * count)));
}

static void write_chosen(struct writer *writer, const struct layout *layout, const char *cmdline)
{
	begin(writer, "chosen");
	text(writer, "bootargs", cmdline);
	if (layout->initrd_bytes != 0) {
		wide(writer, "linux,initrd-start", layout->initrd);
		wide(writer, "linux,initrd-end", layout->initrd + layout->initrd_bytes);
	}
	text(writer, "stdout-path", "/pl011@9000000");
	end(writer);
}

static void write_memory(struct writer *writer, const struct layout *layout)
{
	const uint64_t ram[] = { RAM_BASE, layout->ram_bytes };

	begin(writer, "memory@40000000");
	text(writer, "device_type", "memory");
	regions(writer, ram, 1);
	end(writer);
}

static void write_cpus(struct writer *writer, const struct layout *layout)
{
	unsigned int i;

	begin(writer, "cpus");
	word(writer, "#address-cells", 1);
	word(writer, "#size-cells", 0);
	for (i = 0; i < layout->vcpus; i++) {
		char name[] = "cpu@0";

		name[4] = (char)('0' + i);
		begin(writer, name);
		text(writer, "device_type", "cpu");
		text(writer, "compatible", "arm,armv8");
		text(writer, "enable-method", "psci");
		word(writer, "reg", i);
		end(writer);
	}
	end(writer);
}

static void write_psci(struct writer *writer)
{
	static const char compatible[] = "arm,psci-1.0\0arm,psci-0.2";

	begin(writer, "psci");
	keep(writer, fdt_property(writer->fdt, "compatible", compatible, sizeof(compatible)));
	/* A realm's only conduit; KVM takes a guest's SMC as it takes its HVC. */
	text(writer, "method", "smc");
	end(writer);
}

static void write_gic(struct writer *writer, const struct layout *layout)
{
	const uint64_t frames[] = { GICD_BASE, GICD_BYTES, GICR_BASE, GICR_BYTES * layout->vcpus };

	begin(writer, "intc@8000000");
	text(writer, "compatible", "arm,gic-v3");
	word(writer, "#interrupt-cells", 3);
	flag(writer, "interrupt-controller");
	regions(writer, frames, 2);
	word(writer, "phandle", PHANDLE_GIC);
	end(writer);
}

static void write_timer(struct writer *writer)
{
	static const uint32_t ppis[] = TIMER_PPIS;
	uint32_t cells[12];
	unsigned int i;

	for (i = 0; i < 4; i++) {
		cells[3 * i] = IRQ_PPI;
		cells[3 * i + 1] = ppis[i];
		cells[3 * i + 2] = IRQ_LEVEL_HIGH;
	}
	begin(writer, "timer");
	text(writer, "compatible", "arm,armv8-timer");
	words(writer, "interrupts", cells, 12);
	flag(writer, "always-on");
	end(writer);
}

static void write_uart(struct writer *writer)
{
	static const char compatible[] = "arm,pl011\0arm,primecell", clocks[] = "uartclk\0apb_pclk";
	static const uint32_t interrupt[] = { IRQ_SPI, UART_SPI, IRQ_LEVEL_HIGH };
	static const uint32_t clock[] = { PHANDLE_CLOCK, PHANDLE_CLOCK };
	static const uint64_t frame[] = { UART_BASE, UART_BYTES };

	begin(writer, "apb-pclk");
	text(writer, "compatible", "fixed-clock");
	word(writer, "#clock-cells", 0);
	word(writer, "clock-frequency", UART_CLOCK_HZ);
	text(writer, "clock-output-names", "clk24mhz");
	word(writer, "phandle", PHANDLE_CLOCK);
	end(writer);
	begin(writer, "pl011@9000000");
	keep(writer, fdt_property(writer->fdt, "compatible", compatible, sizeof(compatible)));
	regions(writer, frame, 1);
	words(writer, "interrupts", interrupt, 3);
	words(writer, "clocks", clock, 2);
	keep(writer, fdt_property(writer->fdt, "clock-names", clocks, sizeof(clocks)));
	end(writer);
}

/* The date. No interrupt: there is no alarm. */
static void write_rtc(struct writer *writer)
{
	static const char compatible[] = "arm,pl031\0arm,primecell";
	static const uint64_t frame[] = { RTC_BASE, RTC_BYTES };

	begin(writer, "rtc@9010000");
	keep(writer, fdt_property(writer->fdt, "compatible", compatible, sizeof(compatible)));
	word(writer, "arm,primecell-periphid", RTC_PERIPHID);
	regions(writer, frame, 1);
	word(writer, "clocks", PHANDLE_CLOCK);
	text(writer, "clock-names", "apb_pclk");
	end(writer);
}

static void write_virtio(struct writer *writer, unsigned int slot)
{
	const uint64_t frame[] = { VIRTIO_BASE + slot * VIRTIO_BYTES, VIRTIO_BYTES };
	const uint32_t interrupt[] = { IRQ_SPI, VIRTIO_FIRST_SPI + slot, IRQ_LEVEL_HIGH };
	char name[32];

	(void)snprintf(name, sizeof(name), "virtio_mmio@%llx", (unsigned long long)frame[0]);
	begin(writer, name);
	text(writer, "compatible", "virtio,mmio");
	regions(writer, frame, 1);
	words(writer, "interrupts", interrupt, 3);
	flag(writer, "dma-coherent");
	end(writer);
}

static void write_root(struct writer *writer, const struct layout *layout, const char *cmdline)
{
	unsigned int slot;

	begin(writer, "");
	word(writer, "#address-cells", 2);
	word(writer, "#size-cells", 2);
	text(writer, "compatible", "linux,dummy-virt");
	text(writer, "model", "orch guest");
	word(writer, "interrupt-parent", PHANDLE_GIC);
	write_chosen(writer, layout, cmdline);
	write_memory(writer, layout);
	write_cpus(writer, layout);
	write_psci(writer);
	write_gic(writer, layout);
	write_timer(writer);
	write_uart(writer);
	write_rtc(writer);
	for (slot = 0; slot < VIRTIO_SLOTS; slot++)
		write_virtio(writer, slot);
	end(writer);
}

int devtree_write(const struct layout *layout, const char *cmdline, void *out)
{
	struct writer writer = { .fdt = out };

	/* Every byte of it is measured, unused ones too. */
	memset(out, 0, DTB_MAX_BYTES);
	keep(&writer, fdt_create(out, (int)DTB_MAX_BYTES));
	keep(&writer, fdt_finish_reservemap(out));
	write_root(&writer, layout, cmdline);
	keep(&writer, fdt_finish(out));
	if (writer.error != 0)
		return fail("device tree: %s", fdt_strerror(writer.error));
	/* What finishing left behind the tree (its parts move down) is not the guest's to see. */
	memset((uint8_t *)out + fdt_totalsize(out), 0, DTB_MAX_BYTES - fdt_totalsize(out));
	return (int)fdt_totalsize(out);
}

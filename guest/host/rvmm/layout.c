/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#define PLACE_ALIGN (2 * MIB)

/* Header of an arm64 Image: text_offset at 8, image_size at 16, flags at 24, magic at 56; little-endian. */
#define HEADER_BYTES       64U
#define HEADER_TEXT_OFFSET 8U
#define HEADER_IMAGE_SIZE  16U
#define HEADER_FLAGS       24U
#define HEADER_MAGIC       56U
#define MAGIC              UINT64_C(0x644d5241) /* "ARM\x64" */
#define FLAG_BIG_ENDIAN    UINT64_C(1)

static uint64_t little_endian(const uint8_t *bytes, unsigned int count)
{
	uint64_t value = 0;

	while (count-- > 0)
		value = value << 8 | bytes[count];
	return value;
}

static uint64_t align_up(uint64_t value)
{
	return (value + PLACE_ALIGN - 1) & ~(PLACE_ALIGN - 1);
}

static const char *place_kernel(struct layout *layout, const uint8_t *kernel, uint64_t *end)
{
	uint64_t offset = little_endian(kernel + HEADER_TEXT_OFFSET, 8);
	uint64_t size = little_endian(kernel + HEADER_IMAGE_SIZE, 8);

	if (little_endian(kernel + HEADER_MAGIC, 4) != MAGIC)
		return "the kernel is not an arm64 Image";
	if ((little_endian(kernel + HEADER_FLAGS, 8) & FLAG_BIG_ENDIAN) != 0)
		return "the kernel is big-endian";
	if (size < layout->kernel_bytes)
		return "the kernel's header gives no size, or less than the file has";
	if (offset >= PLACE_ALIGN || (offset & (PAGE_BYTES - 1)) != 0)
		return "the kernel's header gives a text offset that is not one";
	if (!within(offset, size, 0, layout->ram_bytes))
		return "the kernel does not fit into the guest's memory";
	layout->kernel = RAM_BASE + offset;
	*end = layout->kernel + size;
	return NULL;
}

const char *layout_place(struct layout *layout, uint64_t ram_bytes, unsigned int vcpus, const uint8_t *kernel,
			 uint64_t kernel_bytes, uint64_t initrd_bytes)
{
	const char *wrong;
	uint64_t end;

	if (ram_bytes > RAM_MAX_MIB * MIB || ram_bytes % PLACE_ALIGN != 0)
		return "memory must be a multiple of 2 MiB, at most 3072 MiB";
	if (vcpus < 1 || vcpus > MAX_VCPUS)
		return "1 to 8 vCPUs are possible";
	if (kernel_bytes < HEADER_BYTES)
		return "the kernel is not an arm64 Image";
	*layout = (struct layout){ .ram_bytes = ram_bytes, .vcpus = vcpus, .kernel_bytes = kernel_bytes,
				   .initrd_bytes = initrd_bytes };
	wrong = place_kernel(layout, kernel, &end);
	if (wrong != NULL)
		return wrong;
	layout->initrd = align_up(end);
	if (!within(layout->initrd, initrd_bytes, RAM_BASE, ram_bytes))
		return "the initrd does not fit into the guest's memory";
	layout->dtb = align_up(layout->initrd + initrd_bytes);
	if (!within(layout->dtb, DTB_MAX_BYTES, RAM_BASE, ram_bytes))
		return "kernel and initrd leave no room for the device tree in the guest's memory";
	return NULL;
}

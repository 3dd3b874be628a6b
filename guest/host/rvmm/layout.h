/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where everything is in a guest's physical address space: the same for a realm and a normal VM, and part of a realm's
 * measurement through the device tree.
 *
 *     0x0800_0000  GIC distributor, 64 KiB
 *     0x080a_0000  GIC redistributors, 128 KiB a vCPU
 *     0x0900_0000  PL011, SPI 1
 *     0x0901_0000  PL031
 *     0x0a00_0000  virtio-mmio devices, room for 8 of 512 bytes each, SPI 16 and up
 *     0x4000_0000  RAM, at most 3 GiB: kernel, initrd, device tree, in this order
 *   0x1_0000_0000  the Unprotected half of a realm begins: the same once more, shared with the host
 */
#ifndef RVMM_LAYOUT_H
#define RVMM_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES UINT64_C(4096)
#define MIB        (UINT64_C(1) << 20)

#define IPA_BITS        33
#define IPA_UNPROTECTED (UINT64_C(1) << (IPA_BITS - 1))

#define GICD_BASE        UINT64_C(0x08000000)
#define GICD_BYTES       UINT64_C(0x10000)
#define GICR_BASE        UINT64_C(0x080a0000)
#define GICR_BYTES       UINT64_C(0x20000) /* of each vCPU */
#define UART_BASE        UINT64_C(0x09000000)
#define UART_BYTES       UINT64_C(0x1000)
#define UART_SPI         1U
#define RTC_BASE       UINT64_C(0x09010000)
#define RTC_BYTES      UINT64_C(0x1000)
#define VIRTIO_BASE      UINT64_C(0x0a000000)
#define VIRTIO_BYTES     UINT64_C(0x200)
#define VIRTIO_FIRST_SPI 16U
#define RAM_BASE         UINT64_C(0x40000000)
#define RAM_MIN_MIB      32U
#define RAM_MAX_MIB      3072U

#define MAX_VCPUS 8U

/* The virtio devices. All slots are in every guest's device tree, whether or not a device is in them (its id is 0 then):
 * what a guest is given beside its own content does not change its measurement. Linux calls disks by the order of slots. */
enum { VIRTIO_SLOT_RNG, VIRTIO_SLOT_NET, VIRTIO_SLOT_BLK, VIRTIO_SLOT_CONSOLE, VIRTIO_SLOT_RUNTIME, VIRTIO_SLOTS };
_Static_assert(VIRTIO_SLOTS <= 8, "room for virtio devices");

/* PPIs of the architected timer as the device tree counts them: secure, non-secure, virtual, hypervisor. */
#define TIMER_PPIS { 13, 14, 11, 10 }
#define INTID_PPI(ppi) ((ppi) + 16U)
#define INTID_SPI(spi) ((spi) + 32U)
#define INTID_CNTV     INTID_PPI(11U)
#define INTID_CNTP     INTID_PPI(14U)

/* Boot protocol (Documentation/arch/arm64/booting.rst): a tree is at most 2 MiB and does not cross a 2 MiB boundary,
 * here with room to spare. */
#define DTB_MAX_BYTES UINT64_C(0x10000)

struct layout {
	uint64_t ram_bytes;
	unsigned int vcpus;
	uint64_t kernel;        /* and the entry point */
	uint64_t kernel_bytes;  /* of the file */
	uint64_t initrd;
	uint64_t initrd_bytes;
	uint64_t dtb;
};

/* `size` rounded up to whole pages. */
static inline uint64_t page_align(uint64_t size)
{
	return (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

/* Where a page of a realm's RAM, or the end of one, is in the shared half. Added, not set: the end of 3 GiB is 1 << 32. */
static inline uint64_t shared_ipa(uint64_t ipa)
{
	return ipa + IPA_UNPROTECTED;
}

/* Is [base, base + size) within [start, start + room)? Safe for any values. */
static inline bool within(uint64_t base, uint64_t size, uint64_t start, uint64_t room)
{
	return base >= start && base - start <= room && size <= room - (base - start);
}

/*
 * Fill `layout` for a guest of this size. `kernel`: the file's first bytes, at least 64 of `kernel_bytes`. NULL, or what
 * does not fit.
 */
const char *layout_place(struct layout *layout, uint64_t ram_bytes, unsigned int vcpus, const uint8_t *kernel,
			 uint64_t kernel_bytes, uint64_t initrd_bytes);

#endif

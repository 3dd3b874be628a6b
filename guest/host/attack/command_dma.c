// SPDX-License-Identifier: Apache-2.0
/*
 * Have a device write to a page. QEMU's fw_cfg device (docs/specs/fw_cfg) copies an item to any physical address that it is
 * told, and the emulator lets no granule protection check stand between a device and memory, as a system with CCA must.
 */
#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "commands.h"
#include "exposed.h"
#include "ram.h"
#include "say.h"
#include "sweep.h"

#define FW_CFG           UINT64_C(0x09020000) /* of QEMU's virt machine */
#define FW_CFG_DMA       0x10                 /* big-endian address of a request; its lower half starts it */
#define FW_CFG_SIGNATURE 0x0000               /* the item "QEMU" */
#define SIGNATURE_BYTES  4
#define CONTROL_ERROR    0x01u
#define CONTROL_READ     0x02u
#define CONTROL_SELECT   0x08u

/* All big-endian. */
struct request {
	uint32_t control;
	uint32_t length;
	uint64_t address;
};

/* A page of ours, told by what is in it: there is no /proc/self/pagemap in this kernel. */
struct own_page {
	struct ram ram;
	uint8_t *page;
	uint8_t tag[64];
	uint64_t address;
};

static void find_tag(void *context)
{
	struct own_page *own = context;
	size_t i, page;

	for (i = 0; i < own->ram.count; i++) {
		const struct span *span = &own->ram.spans[i];

		for (page = 0; page < span->pages; page++)
			if (span->classes[page] == PAGE_READS &&
			    memcmp(span->bytes + page * PAGE, own->tag, sizeof(own->tag)) == 0)
				own->address = span->base + page * PAGE;
	}
}

static void make_own_page(struct own_page *own)
{
	int random = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	struct addresses realms = addresses_read(DELEGATED); /* among whose pages it is not */

	own->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (own->page == MAP_FAILED || mlock(own->page, PAGE) < 0)
		fail("a page");
	if (random < 0 || read(random, own->tag, sizeof(own->tag)) != (ssize_t)sizeof(own->tag))
		fail("/dev/urandom");
	close(random);
	memcpy(own->page, own->tag, sizeof(own->tag));
	ram_open(&own->ram, false);
	ram_spare(&own->ram, &realms);
	sweep_ram(&(struct sweep){ .needles = NULL }, &own->ram);
	if (!run_exposed(find_tag, own) || own->address == 0)
		fail_with("the page of the request was not found in physical memory");
}

/* Ask the device for its signature, at `target`; returns what it left of the request's control word: 0 is done. */
static uint32_t order(struct own_page *own, uint64_t target)
{
	volatile struct request *request = (volatile void *)own->page;
	int memory = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);
	volatile uint32_t *device;
	uint8_t *registers;

	registers = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, (off_t)FW_CFG);
	if (memory < 0 || registers == MAP_FAILED)
		fail("/dev/mem");
	device = (volatile uint32_t *)(void *)(registers + FW_CFG_DMA);
	request->control = htobe32(FW_CFG_SIGNATURE << 16 | CONTROL_SELECT | CONTROL_READ);
	request->length = htobe32(SIGNATURE_BYTES);
	request->address = htobe64(target);
	__sync_synchronize();
	device[0] = htobe32((uint32_t)(own->address >> 32));
	device[1] = htobe32((uint32_t)own->address);
	__sync_synchronize();
	/* The emulator has done it when the write returns. */
	return be32toh(request->control);
}

int command_dma(int count, char **words)
{
	static struct own_page own;
	uint32_t control;

	if (count != 1)
		fail_with("dma ADDRESS");
	make_own_page(&own);
	control = order(&own, number(words[0]));
	printf("{\"event\":\"dma\",\"address\":\"%#" PRIx64 "\",\"bytes\":%d,\"done\":%s}\n", number(words[0]),
	       SIGNATURE_BYTES, control == 0 ? "true" : "false");
	return (control & CONTROL_ERROR) != 0;
}

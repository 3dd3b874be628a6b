/* SPDX-License-Identifier: Apache-2.0 */
/* A realm's memory at run time. */
#ifndef RVMM_REALM_MEMORY_H
#define RVMM_REALM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

struct vm;

/* From any vCPU thread. Sharing gives 1 if the realm has not given up that page. */
int realm_populate_around(struct vm *vm, uint64_t ipa);
int realm_share_around(struct vm *vm, uint64_t ipa);
int realm_change_ripas(struct vm *vm, unsigned int rec, uint64_t base, uint64_t top, unsigned int ripas);

/* May devices touch this memory? `context`: struct vm; `address` as the realm's DMA layer gives it. */
bool realm_shares(void *context, uint64_t address, uint64_t size);

#endif

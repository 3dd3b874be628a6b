/* SPDX-License-Identifier: Apache-2.0 */
/* RMI calls. */
#ifndef RMI_H
#define RMI_H

#include <stdbool.h>
#include <stdint.h>

struct rmi_result {
	uint64_t status;
	uint64_t out[4]; /* x1..x4 */
};

/* rmi(FID, x1, …): arguments that are left out are zero. */
#define rmi(...) rmi_call((const uint64_t[8]){ __VA_ARGS__ })
struct rmi_result rmi_call(const uint64_t *arguments);

/* The same between markers `id` (realm_ops.h: BENCH_EVENT). */
struct rmi_result rmi_marked(uint64_t id, const uint64_t *arguments);

/* Feature register 0, read once. */
uint64_t features(void);

void host_smc(uint64_t *registers);
void host_smc_marked(uint64_t *registers, uint64_t id);
void mark(uint64_t id);
uint64_t probe_read(uint64_t address, uint64_t unread);
uint64_t probe_write(uint64_t address, uint64_t value);
extern volatile uint64_t probe_esr, probe_far;

#endif

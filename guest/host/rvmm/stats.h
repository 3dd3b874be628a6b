/* SPDX-License-Identifier: Apache-2.0 */
/* Why vCPUs stopped, and what the VMM did about it. */
#ifndef RVMM_STATS_H
#define RVMM_STATS_H

#include <stdatomic.h>
#include <stdint.h>

/* name in stats.json: X(IDENTIFIER, text) */
#define STATS(X)                                                                                                \
	X(ENTRIES, "entries") X(INTERRUPTED, "interrupted") X(MMIO_READ, "mmio_read") X(MMIO_WRITE, "mmio_write") \
	X(GIC_ACCESS, "gic_access") X(IRQ, "irq") X(FIQ, "fiq") X(SERROR, "serror") X(WFX, "wfx") X(SYSREG, "sysreg") \
	X(PSCI, "psci") X(RIPAS_CHANGE, "ripas_change") X(HOST_CALL, "host_call") X(FAULT_PROTECTED, "fault_protected") \
	X(FAULT_SHARED, "fault_shared") X(ABORT, "abort_injected") X(VIRTIO_NOTIFY, "virtio_notify") \
	X(VIRTIO_INTERRUPT, "virtio_interrupt") X(NET_RX_FRAMES, "net_rx_frames") X(NET_TX_FRAMES, "net_tx_frames") \
	X(NET_DROPPED, "net_dropped") X(BLK_READS, "blk_reads") X(BLK_WRITES, "blk_writes") \
	X(BLK_ERRORS, "blk_errors") X(OTHER, "other")

#define STAT_NAME(identifier, text) STAT_##identifier,
enum vm_stat { STATS(STAT_NAME) STAT_COUNT };

struct stats {
	_Atomic uint64_t counts[STAT_COUNT];
};

static inline void stat_add(struct stats *stats, enum vm_stat which)
{
	atomic_fetch_add_explicit(&stats->counts[which], 1, memory_order_relaxed);
}

#endif

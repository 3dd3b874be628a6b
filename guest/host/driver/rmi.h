/* SPDX-License-Identifier: GPL-2.0-only */
/* RMI 1.0 as a host calls it (RMM specification DEN0137 1.0-rel0, B4). */
#ifndef RMI_H
#define RMI_H

#include <linux/bits.h>
#include <linux/sizes.h>
#include <linux/types.h>

/* B4.3: function ids. */
#define RMI_VERSION               0xc4000150
#define RMI_GRANULE_DELEGATE      0xc4000151
#define RMI_GRANULE_UNDELEGATE    0xc4000152
#define RMI_DATA_CREATE           0xc4000153
#define RMI_DATA_CREATE_UNKNOWN   0xc4000154
#define RMI_DATA_DESTROY          0xc4000155
#define RMI_REALM_ACTIVATE        0xc4000157
#define RMI_REALM_CREATE          0xc4000158
#define RMI_REALM_DESTROY         0xc4000159
#define RMI_REC_CREATE            0xc400015a
#define RMI_REC_DESTROY           0xc400015b
#define RMI_REC_ENTER             0xc400015c
#define RMI_RTT_CREATE            0xc400015d
#define RMI_RTT_DESTROY           0xc400015e
#define RMI_RTT_MAP_UNPROTECTED   0xc400015f
#define RMI_RTT_UNMAP_UNPROTECTED 0xc4000162
#define RMI_PSCI_COMPLETE         0xc4000164
#define RMI_FEATURES              0xc4000165
#define RMI_REC_AUX_COUNT         0xc4000167
#define RMI_RTT_INIT_RIPAS        0xc4000168
#define RMI_RTT_SET_RIPAS         0xc4000169

#define RMI_ABI_1_0 0x10000

/* B4.4 RmiCommandReturnCode. */
#define RMI_STATUS(x0) ((x0) & 0xff)
#define RMI_INDEX(x0)  ((x0) >> 8 & 0xff)
#define RMI_SUCCESS     0
#define RMI_ERROR_REALM 2
#define RMI_ERROR_RTT   4

/* Feature register 0. */
#define RMI_FEATURE_S2SZ(f0)    ((f0) & 0xff)
#define RMI_FEATURE_NUM_BPS(f0) ((f0) >> 14 & 0x3f)
#define RMI_FEATURE_NUM_WPS(f0) ((f0) >> 20 & 0x3f)

/* RTT_MAP_UNPROTECTED's descriptor with forced write-back (MemAttr 0b110), read and write. */
#define RMI_UNPROTECTED_NORMAL (6 << 2 | 3 << 6)

#define RTT_PAGE_LEVEL 3
/* Bytes that one entry of a table at `level` describes. */
#define RTT_ENTRY_SIZE(level) BIT_ULL(12 + 9 * (RTT_PAGE_LEVEL - (level)))

#define REC_MAX_AUX 16
#define REC_LRS     16

struct rmi_realm_params {
	u64 flags;
	u8 s2sz;
	u8 pad0[7];
	u8 sve_vl;
	u8 pad1[7];
	u8 num_bps;
	u8 pad2[7];
	u8 num_wps;
	u8 pad3[7];
	u8 pmu_num_ctrs;
	u8 pad4[7];
	u8 hash_algo;
	u8 pad5[0x400 - 0x31];
	u8 rpv[64];
	u8 pad6[0x800 - 0x440];
	u16 vmid;
	u8 pad7[6];
	u64 rtt_base;
	s64 rtt_level_start;
	u32 rtt_num_start;
	u8 pad8[SZ_4K - 0x81c];
};
static_assert(sizeof(struct rmi_realm_params) == SZ_4K);

struct rmi_rec_params {
	u64 flags;
	u8 pad0[0x100 - 8];
	u64 mpidr;
	u8 pad1[0x100 - 8];
	u64 pc;
	u8 pad2[0x100 - 8];
	u64 gprs[8];
	u8 pad3[0x800 - 0x340];
	u64 num_aux;
	u64 aux[REC_MAX_AUX];
	u8 pad4[SZ_4K - 0x888];
};
static_assert(sizeof(struct rmi_rec_params) == SZ_4K);

/* What the driver itself looks at in the RmiRecRun page. */
#define REC_TRAP_FLAGS (BIT(2) | BIT(3))   /* trap_wfi, trap_wfe */
#define REC_EXIT_IRQ 1
#define REC_EXIT_FIQ 2

struct rmi_rec_run {
	u64 flags;
	u8 pad0[0x300 - 8];
	u64 enter_gicv3_hcr;
	u64 enter_gicv3_lrs[REC_LRS];
	u8 pad1[0x800 - 0x388];
	u8 exit_reason;
	u8 pad2[0x300 - 1];
	u64 exit_gicv3_hcr;
	u64 exit_gicv3_lrs[REC_LRS];
	u64 exit_gicv3_misr;
	u64 exit_gicv3_vmcr;
	u8 pad3[0x400 - 0x398];
	u64 exit_cntp_ctl;
	u64 exit_cntp_cval;
	u64 exit_cntv_ctl;
	u64 exit_cntv_cval;
	u8 pad4[0x800 - 0x420];
};
static_assert(sizeof(struct rmi_rec_run) == SZ_4K);
static_assert(offsetof(struct rmi_rec_run, exit_cntp_ctl) == 0xc00);

/* One RMI command; `out` receives x1..x4. Returns x0. Arguments that are left out are 0. */
u64 rmi_call(u64 *out, u64 command, const u64 arguments[5]);
#define rmi(out, command, ...) rmi_call(out, command, (const u64[5]){ __VA_ARGS__ })

#endif

/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/realm: one open file is one realm. The driver owns the granules behind it (it allocates, delegates, populates,
 * undelegates and frees them, at the latest when the file is closed) and forwards RMI calls; virtual GIC, timers and
 * devices are the VMM's.
 *
 * Order: INFO, CREATE, any of {INIT_RIPAS, DATA, REC_CREATE, POPULATE, SHARE}, ACTIVATE, then REC_ENTER in one thread a
 * REC. The realm's initial measurement depends on the order of INIT_RIPAS, DATA and REC_CREATE alone. Missing tables are
 * created by the driver whenever the RMM asks for them.
 *
 * Addresses and sizes are multiples of 4096 bytes. IPA is the realm's address; the Unprotected half starts at
 * 1 << (ipa_bits - 1). Reserved fields are zero.
 *
 * Errors: ENOTTY no such command, EINVAL malformed structure, EBUSY wrong moment (realm exists already, REC runs), EFAULT
 * bad user address, ENOMEM no memory, ENOSPC no more realms (255) or RECs in one (32), ENODEV the host goes down, EINTR a
 * signal (call again: ranges have moved on), EPROTO the RMM refused: the realm's last RMI command and status are then in
 * REALM_LAST.
 */
#ifndef REALM_IOCTL_H
#define REALM_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define REALM_ABI 1

/* What RMM and driver are. */
struct realm_info {
	__u32 abi;           /* REALM_ABI */
	__u32 rmi_version;   /* RMI_VERSION's higher revision: 0x10000 is 1.0 */
	__u64 features0;     /* RMI_FEATURES 0 */
};

struct realm_create {
	__u8 ipa_bits;       /* 32..48 */
	__u8 hash_algo;      /* REALM_HASH_* */
	__u8 num_bps;        /* breakpoints less one; 0 = as many as feature register 0 says */
	__u8 num_wps;        /* watchpoints less one; 0 likewise */
	__u32 reserved;
	__u8 rpv[64];        /* realm personalization value */
};

#define REALM_HASH_SHA_256 0
#define REALM_HASH_SHA_512 1

/*
 * Level at which a realm's tables start: as few levels as 16 concatenated tables allow (RMM specification 1.0, A5.2.2;
 * Arm ARM D8.2). Part of the ABI: INIT_RIPAS measures entry by entry, of this level as long as no other call made the
 * driver add tables and the range is made of whole entries.
 */
#define REALM_RTT_LEVEL(ipa_bits) (4 - ((ipa_bits) - 8) / 9)

/* A range of IPAs, [base, top). On return base is where the work stopped: top unless there was an error. */
struct realm_range {
	__u64 base;
	__u64 top;
};

/* Copy `size` bytes at user address `source` to fresh granules from `ipa` on. All three move on as pages are done. */
struct realm_data {
	__u64 ipa;
	__u64 source;
	__u64 size;
	__u64 flags;         /* REALM_DATA_MEASURE */
};
#define REALM_DATA_MEASURE 1

/* Let the realm see the VMM's memory at an Unprotected IPA; the pages stay pinned until UNSHARE or close. Pages that
 * are shared already are left alone. */
struct realm_share {
	__u64 ipa;
	__u64 source;
	__u64 size;
};

/* The answer to exit RIPAS_CHANGE of REC `rec`: change [base, top) to `ripas` (0 empty, 1 RAM). Pages that become empty
 * are taken out of the realm and freed. `base` moves on. */
struct realm_ripas {
	__u32 rec;
	__u32 ripas;
	__u64 base;
	__u64 top;
};

/* RECs are numbered 0, 1, ... in order of creation. */
struct realm_rec_create {
	__u64 mpidr;         /* RmiRecMpidr: Aff0 3:0, Aff1 15:8, Aff2 23:16, Aff3 31:24 */
	__u64 pc;
	__u64 gprs[8];
	__u64 flags;         /* REALM_REC_RUNNABLE */
};
#define REALM_REC_RUNNABLE 1

struct realm_psci {
	__u32 caller;        /* REC whose exit was PSCI */
	__u32 target;
	__s64 status;        /* PSCI status: 0, or -3 (denied) for CPU_ON */
};

/* The last RMI command of this realm that the RMM refused. */
struct realm_last {
	__u64 command;       /* function id */
	__u64 status;        /* x0: status 7:0, index 15:8 */
};

#define REALM_INFO         _IOR('R', 0x00, struct realm_info)
#define REALM_CREATE       _IOW('R', 0x01, struct realm_create)
#define REALM_INIT_RIPAS   _IOWR('R', 0x02, struct realm_range)
#define REALM_DATA         _IOWR('R', 0x03, struct realm_data)
#define REALM_POPULATE     _IOWR('R', 0x04, struct realm_range)   /* unmeasured pages where none are yet */
#define REALM_SHARE        _IOWR('R', 0x05, struct realm_share)
#define REALM_UNSHARE      _IOWR('R', 0x06, struct realm_range)
#define REALM_SET_RIPAS    _IOWR('R', 0x07, struct realm_ripas)
#define REALM_REC_CREATE   _IOW('R', 0x08, struct realm_rec_create)  /* returns the REC's number */
#define REALM_ACTIVATE     _IO('R', 0x09)
#define REALM_REC_ENTER    _IO('R', 0x0a)                            /* argument: the REC's number */
#define REALM_PSCI         _IOW('R', 0x0b, struct realm_psci)
#define REALM_LAST         _IOR('R', 0x0c, struct realm_last)

/*
 * mmap(fd) with offset REALM_REC_OFFSET(n), REALM_REC_SIZE bytes, shared: page 0 is the RmiRecRun page of REC n
 * (enter at 0x000, exit at 0x800, RMM specification B4.4), page 1 is struct realm_control.
 *
 * REC_ENTER runs the REC until an exit that the VMM has to handle and returns 0 with `exit` filled. Interrupts of the
 * host are handled on the way: the driver then enters again with enter.gicv3_lrs as the exit left them, gicv3_hcr as it was,
 * unless the output of one of the realm's timers has changed, the GIC wants attention (gicv3_misr is not 0, or a list
 * register with its EOI bit set has become empty) or a signal is pending: then 0 with exit reason IRQ. EINTR: a signal
 * was pending or `immediate_exit` was set before the REC ran at all; `exit` is as it was and `enter` was not used.
 * Of enter.flags only trap_wfi and trap_wfe survive such an inner entry. ESHUTDOWN: the realm has been switched off.
 */
#define REALM_REC_SIZE      8192
#define REALM_REC_OFFSET(n) ((n) * REALM_REC_SIZE)

struct realm_control {
	__u32 immediate_exit;  /* the VMM sets it to make REC_ENTER return at once, and clears it */
	__u32 reserved;
	__u64 entries;         /* RMI_REC_ENTER calls so far */
	__u64 interrupts;      /* of them, ended by an interrupt of the host and entered again by the driver */
};

#endif

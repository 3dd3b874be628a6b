/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file behind a block device. One that is written belongs to one guest; several may read one that nobody writes. Who
 * has it is told by sockets in the abstract name space that carry its device and inode number, and are gone with the
 * process (as with run folders: the testbed's kernel has no file locks).
 */
#ifndef RVMM_DISK_H
#define RVMM_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define SECTOR_BYTES UINT64_C(512)

/* So many guests at most read one file. */
#define DISK_READERS 16U

struct disk {
	int fd;                    /* -1: none */
	bool writable;
	uint64_t bytes;            /* of the file */
	uint64_t sectors;          /* of the disk: a last one that the file has only a part of is filled up with zeros */
	int claims[DISK_READERS];  /* -1: none */
};

/* -1 with failure() saying what is wrong with the file: one that is to be written has whole sectors. disk_close() in both
 * cases. */
int disk_open(struct disk *disk, const char *path, bool writable);

/* All of the parts, from `offset` on, which are spoiled; -1 on errors, and at the file's end if it has become shorter. */
int disk_transfer(const struct disk *disk, bool write, struct iovec *parts, unsigned int count, uint64_t offset);

/* What was written is on the medium. */
int disk_flush(const struct disk *disk);

void disk_close(struct disk *disk);

#endif

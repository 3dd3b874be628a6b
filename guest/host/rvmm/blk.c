/* SPDX-License-Identifier: Apache-2.0 */
#include "blk.h"

#include <string.h>

#include "error.h"
#include "layout.h"

/* ---- The medium --------------------------------------------------------------------------------------------- */

static int transfer(void *context, bool write, struct iovec *parts, unsigned int count, uint64_t offset)
{
	const struct blk *blk = context;

	return disk_transfer(&blk->disk, write, parts, count, offset);
}

static int flush(void *context)
{
	const struct blk *blk = context;

	return disk_flush(&blk->disk);
}

static void wake(void *context)
{
	struct blk *blk = context;

	(void)pthread_cond_signal(&blk->wake);
}

/* The lock is free meanwhile: a device that another vCPU starts again gets no request of before. */
static void settle(void *context)
{
	struct blk *blk = context;

	while (blk->busy)
		(void)pthread_cond_wait(&blk->idle, blk->lock);
}

/* A disk that is never idle must not keep who waits: hence no new request meanwhile. */
void blk_pause(struct blk *blk)
{
	blk->pauses++;
	settle(blk);
}

void blk_resume(struct blk *blk)
{
	if (--blk->pauses == 0)
		wake(blk);
}

/* ---- The thread --------------------------------------------------------------------------------------------- */

/* Under the lock, but for the work itself. */
static void serve(struct blk *blk)
{
	blk->busy = true;
	(void)pthread_mutex_unlock(blk->lock);
	virtio_blk_carry_out(&blk->device, &blk->request);
	(void)pthread_mutex_lock(blk->lock);
	blk->busy = false;
	virtio_blk_finish(blk->slot, &blk->request);
	(void)pthread_cond_broadcast(&blk->idle);
}

static void *work(void *argument)
{
	struct blk *blk = argument;

	gate_pass(blk->gate);
	(void)pthread_mutex_lock(blk->lock);
	while (!blk->end) {
		if (blk->pauses == 0 && virtio_blk_take(blk->slot, &blk->request))
			serve(blk);
		else
			(void)pthread_cond_wait(&blk->wake, blk->lock);
	}
	(void)pthread_mutex_unlock(blk->lock);
	return NULL;
}

int blk_start(struct blk *blk)
{
	int error;

	if (!blk->opened)
		return 0;
	error = pthread_create(&blk->thread, NULL, work, blk);
	if (error != 0)
		return fail("thread of the disk: %s", strerror(error));
	blk->started = true;
	return 1;
}

void blk_stop(struct blk *blk)
{
	if (!blk->started)
		return;
	(void)pthread_mutex_lock(blk->lock);
	blk->end = true;
	(void)pthread_cond_signal(&blk->wake);
	(void)pthread_mutex_unlock(blk->lock);
	(void)pthread_join(blk->thread, NULL);
	blk->started = false;
}

/* ---- Making and unmaking ------------------------------------------------------------------------------------ */

int blk_init(struct blk *blk, const struct options *options, const struct virtio_host *host)
{
	(void)pthread_cond_init(&blk->wake, NULL);
	(void)pthread_cond_init(&blk->idle, NULL);
	if (options->disk == NULL)
		return 0;
	blk->opened = true;
	if (disk_open(&blk->disk, options->disk, options->disk_writable) < 0)
		return -1;
	blk->device.medium = (struct virtio_blk_medium){
		.context = blk, .transfer = transfer, .flush = flush, .wake = wake, .settle = settle,
	};
	blk->device.sectors = blk->disk.sectors;
	blk->device.writable = blk->disk.writable;
	virtio_blk_init(blk->slot, &blk->device, VIRTIO_SLOT_BLK, host);
	return 0;
}

void blk_close(struct blk *blk)
{
	if (blk->opened)
		disk_close(&blk->disk);
}

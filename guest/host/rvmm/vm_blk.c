/* SPDX-License-Identifier: Apache-2.0 */
#include "vm_blk.h"

#include <string.h>

#include "error.h"
#include "vm.h"

/* ---- The medium --------------------------------------------------------------------------------------------- */

static int transfer(void *context, bool write, struct iovec *parts, unsigned int count, uint64_t offset)
{
	const struct vm *vm = context;

	return disk_transfer(&vm->blk.disk, write, parts, count, offset);
}

static int flush(void *context)
{
	const struct vm *vm = context;

	return disk_flush(&vm->blk.disk);
}

static void wake(void *context)
{
	struct vm *vm = context;

	(void)pthread_cond_signal(&vm->blk.wake);
}

/* The lock is free meanwhile: a device that another vCPU starts again gets no request of before. */
static void settle(void *context)
{
	struct vm *vm = context;

	while (vm->blk.busy)
		(void)pthread_cond_wait(&vm->blk.idle, &vm->devices);
}

/* A disk that is never idle must not keep who waits: hence no new request meanwhile. */
void vm_blk_pause(struct vm *vm)
{
	vm->blk.pauses++;
	settle(vm);
}

void vm_blk_resume(struct vm *vm)
{
	if (--vm->blk.pauses == 0)
		wake(vm);
}

/* ---- The thread --------------------------------------------------------------------------------------------- */

/* Under the lock, but for the work itself. */
static void serve(struct vm *vm, struct vm_blk *blk)
{
	blk->busy = true;
	(void)pthread_mutex_unlock(&vm->devices);
	virtio_blk_carry_out(&blk->device, &blk->request);
	(void)pthread_mutex_lock(&vm->devices);
	blk->busy = false;
	virtio_blk_finish(&vm->virtio[VIRTIO_SLOT_BLK], &blk->request);
	(void)pthread_cond_broadcast(&blk->idle);
}

static void *work(void *argument)
{
	struct vm *vm = argument;
	struct vm_blk *blk = &vm->blk;

	gate_pass(&vm->gate);
	(void)pthread_mutex_lock(&vm->devices);
	while (!blk->end) {
		if (blk->pauses == 0 && virtio_blk_take(&vm->virtio[VIRTIO_SLOT_BLK], &blk->request))
			serve(vm, blk);
		else
			(void)pthread_cond_wait(&blk->wake, &vm->devices);
	}
	(void)pthread_mutex_unlock(&vm->devices);
	return NULL;
}

int vm_blk_start(struct vm *vm)
{
	int error;

	if (vm->options->disk == NULL)
		return 0;
	error = pthread_create(&vm->blk.thread, NULL, work, vm);
	if (error != 0)
		return fail("thread of the disk: %s", strerror(error));
	vm->blk.started = true;
	return 1;
}

void vm_blk_stop(struct vm *vm)
{
	if (!vm->blk.started)
		return;
	(void)pthread_mutex_lock(&vm->devices);
	vm->blk.end = true;
	(void)pthread_cond_signal(&vm->blk.wake);
	(void)pthread_mutex_unlock(&vm->devices);
	(void)pthread_join(vm->blk.thread, NULL);
	vm->blk.started = false;
}

/* ---- Making and unmaking ------------------------------------------------------------------------------------ */

int vm_blk_init(struct vm *vm, const struct virtio_host *host)
{
	struct vm_blk *blk = &vm->blk;

	(void)pthread_cond_init(&blk->wake, NULL);
	(void)pthread_cond_init(&blk->idle, NULL);
	if (vm->options->disk == NULL)
		return 0;
	blk->opened = true;
	if (disk_open(&blk->disk, vm->options->disk, vm->options->disk_writable) < 0)
		return -1;
	blk->device = (struct virtio_blk){
		.medium = { .context = vm, .transfer = transfer, .flush = flush, .wake = wake, .settle = settle },
		.stats = &vm->stats, .sectors = blk->disk.sectors, .writable = blk->disk.writable,
	};
	virtio_blk_init(&vm->virtio[VIRTIO_SLOT_BLK], &blk->device, VIRTIO_SLOT_BLK, host);
	return 0;
}

void vm_blk_close(struct vm *vm)
{
	if (vm->blk.opened)
		disk_close(&vm->blk.disk);
}

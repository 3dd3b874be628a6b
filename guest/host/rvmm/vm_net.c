/* SPDX-License-Identifier: Apache-2.0 */
#include "vm_net.h"

#include <string.h>
#include <unistd.h>

#include "tap.h"
#include "vm.h"

/* Frames for the guest before the main thread looks at everything else again. */
#define BATCH 64U

/* How often it does that for a guest that is as fast as the host, before it looks whether it is told to end. */
#define ROUNDS 16U

/* ---- The link; under the device lock ------------------------------------------------------------------------ */

static bool send(void *context, const struct iovec *parts, unsigned int count)
{
	const struct vm *vm = context;

	return tap_send(vm->net.tap, parts, count);
}

static void offload(void *context, bool checksum, bool segments)
{
	const struct vm *vm = context;

	tap_offload(vm->net.tap, checksum, segments);
}

static void changed(void *context)
{
	vm_wake(context);
}

/* ---- The main thread ---------------------------------------------------------------------------------------- */

static struct virtio *device_of(struct vm *vm)
{
	return &vm->virtio[VIRTIO_SLOT_NET];
}

/* Give the guest the frame that waits; false: it has no room now. */
static bool deliver(struct vm *vm)
{
	bool result;

	(void)pthread_mutex_lock(&vm->devices);
	result = virtio_net_deliver(device_of(vm), vm->net.frame, vm->net.waiting);
	(void)pthread_mutex_unlock(&vm->devices);
	return result;
}

void vm_net_serve(struct vm *vm)
{
	struct vm_net *net = &vm->net;
	unsigned int i;
	ssize_t count;

	for (i = 0; i < BATCH; i++) {
		if (net->waiting == 0) {
			count = tap_receive(net->tap, net->frame, sizeof(net->frame));
			if (count < 0)
				net->gone = true;
			if (count <= 0)
				return;
			net->waiting = (size_t)count;
		}
		if (!deliver(vm))
			return;
		net->waiting = 0;
	}
}

static bool wants(struct vm *vm)
{
	bool result;

	(void)pthread_mutex_lock(&vm->devices);
	result = virtio_net_wants(device_of(vm));
	(void)pthread_mutex_unlock(&vm->devices);
	return result;
}

int vm_net_poll(struct vm *vm)
{
	unsigned int i;

	if (vm->net.tap < 0)
		return -1;
	/* The tap may have nothing new to tell. */
	for (i = 0; vm->net.waiting != 0 && wants(vm); i++) {
		if (i == ROUNDS) {
			vm_wake(vm);
			return -1;
		}
		vm_net_serve(vm);
	}
	return vm->net.waiting == 0 && !vm->net.gone && wants(vm) ? vm->net.tap : -1;
}

/* ---- Making and unmaking ------------------------------------------------------------------------------------ */

int vm_net_init(struct vm *vm, const struct virtio_host *host)
{
	const struct options *options = vm->options;

	if (options->tap == NULL)
		return 0;
	vm->net.tap = tap_open(options->tap);
	if (vm->net.tap < 0)
		return -1;
	if (options->tap_address != 0 && tap_set_address(options->tap, options->tap_address, options->tap_prefix) < 0)
		return -1;
	vm->net.device.link = (struct virtio_net_link){ .context = vm, .send = send, .offload = offload,
							.changed = changed };
	vm->net.device.stats = &vm->stats;
	memcpy(vm->net.device.mac, options->mac, sizeof(options->mac));
	virtio_net_init(device_of(vm), &vm->net.device, VIRTIO_SLOT_NET, host);
	return 0;
}

void vm_net_close(struct vm *vm)
{
	if (vm->net.tap >= 0)
		(void)close(vm->net.tap);
	vm->net.tap = -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devtree.h"
#include "error.h"

/* More than any guest could hold; keeps sizes far from overflow. */
#define FILE_MAX (RAM_MAX_MIB * MIB)

static int blob_allocate(struct blob *blob, uint64_t size)
{
	void *bytes = mmap(NULL, page_align(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (bytes == MAP_FAILED)
		return fail_errno("no memory for %llu bytes", (unsigned long long)size);
	*blob = (struct blob){ .bytes = bytes, .size = size };
	return 0;
}

static void blob_free(struct blob *blob)
{
	if (blob->bytes != NULL)
		(void)munmap(blob->bytes, page_align(blob->size));
	blob->bytes = NULL;
}

static int read_all(int fd, struct blob *blob, const char *path)
{
	uint64_t done = 0;
	ssize_t count;

	while (done < blob->size) {
		count = read(fd, (char *)blob->bytes + done, blob->size - done);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return fail_errno("%s", path);
		if (count == 0)
			return fail("%s: became shorter while it was read", path);
		done += (uint64_t)count;
	}
	return 0;
}

/* Copied, not mapped: nobody changes it under a measurement. */
static int blob_read(struct blob *blob, const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC), result;

	if (fd < 0)
		return fail_errno("%s", path);
	if (fstat(fd, &status) < 0)
		result = fail_errno("%s", path);
	else if (!S_ISREG(status.st_mode) || status.st_size == 0 || (uint64_t)status.st_size > FILE_MAX)
		result = fail("%s: expected a file of 1 byte to %u MiB", path, RAM_MAX_MIB);
	else
		result = blob_allocate(blob, (uint64_t)status.st_size);
	if (result == 0)
		result = read_all(fd, blob, path);
	(void)close(fd);
	return result;
}

static int make_tree(struct content *content, const char *cmdline)
{
	int size;

	if (blob_allocate(&content->dtb, DTB_MAX_BYTES) < 0)
		return -1;
	size = devtree_write(&content->layout, cmdline, content->dtb.bytes);
	if (size < 0)
		return -1;
	content->population = (struct population){
		.layout = &content->layout, .kernel = content->kernel.bytes, .initrd = content->initrd.bytes,
		.dtb = content->dtb.bytes, .dtb_bytes = (uint64_t)size,
	};
	return 0;
}

int content_load(struct content *content, const struct options *options)
{
	const char *wrong;

	*content = (struct content){ .kernel.bytes = NULL };
	if (blob_read(&content->kernel, options->kernel) < 0 || blob_read(&content->initrd, options->initrd) < 0)
		return -1;
	wrong = layout_place(&content->layout, options->mem_mib * MIB, options->vcpus, content->kernel.bytes,
			     content->kernel.size, content->initrd.size);
	if (wrong != NULL)
		return fail("%s (--mem %u)", wrong, options->mem_mib);
	return make_tree(content, options->cmdline);
}

void content_free(struct content *content)
{
	blob_free(&content->kernel);
	blob_free(&content->initrd);
	blob_free(&content->dtb);
}

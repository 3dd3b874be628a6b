// SPDX-License-Identifier: Apache-2.0
/* From a file's first page to the leaf that points to it, up to the root, and down again to all its pages. */
#include "page_cache.h"

#include <string.h>

#define LINEAR_MAP   UINT64_C(0xffff000000000000)
#define VMEMMAP      UINT64_C(0xfffffdffc0000000)
#define STRUCT_PAGE  64u
#define NODE_PARENT  8u
#define NODE_SLOTS   40u
#define NODE_SHIFT   6u
#define NODE_BYTES   (NODE_SLOTS + (8u << NODE_SHIFT))
#define ENTRY_KIND   3u /* of a slot: 0 a page, 2 a node */
#define ENTRY_NODE   2u
#define DEPTH_MAX    10u
#define HEADERS_MAX  256u

/* As much of a node as is used. */
struct node {
	uint8_t shift;
	uint8_t offset;
	uint64_t parent;
	uint64_t slots[1u << NODE_SHIFT];
};

/* Copy from a physical address; false if some of it cannot be read. */
static bool copy(const struct memory *memory, uint64_t address, void *to, size_t bytes)
{
	uint8_t *out = to;

	while (bytes != 0) {
		uint64_t offset = address - memory->base;
		size_t within = offset % CACHE_PAGE, part = CACHE_PAGE - within;
		const uint8_t *page;

		if (address < memory->base || offset / CACHE_PAGE >= memory->pages)
			return false;
		page = memory->page(memory->context, offset / CACHE_PAGE);
		if (page == NULL)
			return false;
		if (part > bytes)
			part = bytes;
		memcpy(out, page + within, part);
		address += part;
		out += part;
		bytes -= part;
	}
	return true;
}

static bool read_node(const struct memory *memory, uint64_t address, struct node *node)
{
	uint8_t bytes[NODE_BYTES];

	if (address % 8 != 0 || !copy(memory, address, bytes, sizeof(bytes)))
		return false;
	node->shift = bytes[0];
	node->offset = bytes[1];
	memcpy(&node->parent, bytes + NODE_PARENT, sizeof(node->parent));
	memcpy(node->slots, bytes + NODE_SLOTS, sizeof(node->slots));
	return node->shift % NODE_SHIFT == 0 && node->shift < DEPTH_MAX * NODE_SHIFT && node->offset < 1u << NODE_SHIFT;
}

/* Physical address of what the linear map has at this address. */
static uint64_t physical(const struct memory *memory, uint64_t pointer)
{
	return pointer - LINEAR_MAP + memory->base;
}

static bool page_number(const struct memory *memory, uint64_t entry, size_t *number)
{
	uint64_t offset = entry - VMEMMAP;

	*number = offset / STRUCT_PAGE;
	return entry >= VMEMMAP && offset % STRUCT_PAGE == 0 && *number < memory->pages;
}

bool cached_page(const struct memory *memory, uint64_t root, size_t index, size_t *number)
{
	uint64_t address = root, entry;
	unsigned int depth;
	struct node node;

	for (depth = 0; depth < DEPTH_MAX; depth++) {
		if (!read_node(memory, address, &node) || index >> node.shift >= 1u << NODE_SHIFT)
			return false;
		entry = node.slots[index >> node.shift];
		if (node.shift == 0)
			return page_number(memory, entry, number);
		if ((entry & ENTRY_KIND) != ENTRY_NODE)
			return false;
		index &= ((size_t)1 << node.shift) - 1;
		address = physical(memory, entry - ENTRY_NODE);
	}
	return false;
}

/* The root above a leaf, if the leaf is the first of all. */
static bool climb(const struct memory *memory, uint64_t leaf, uint64_t *root)
{
	unsigned int depth, shift = 0;
	struct node node;

	for (depth = 0; depth < DEPTH_MAX; depth++, shift += NODE_SHIFT) {
		if (!read_node(memory, leaf, &node) || node.shift != shift || node.offset != 0)
			return false;
		*root = leaf;
		if (node.parent == 0)
			return true;
		leaf = physical(memory, node.parent);
	}
	return false;
}

/* Pages that begin as a file with the identifier does. */
static size_t find_headers(const struct memory *memory, const char identifier[4], uint64_t *pointers)
{
	size_t number, count = 0;

	for (number = 0; number < memory->pages && count < HEADERS_MAX; number++) {
		const uint8_t *page = memory->page(memory->context, number);

		if (page != NULL && memcmp(page + 4, identifier, 4) == 0)
			pointers[count++] = VMEMMAP + number * STRUCT_PAGE;
	}
	return count;
}

static bool is_one_of(uint64_t word, const uint64_t *pointers, size_t count)
{
	size_t i;

	if (word < VMEMMAP || word % STRUCT_PAGE != 0)
		return false;
	for (i = 0; i < count; i++)
		if (pointers[i] == word)
			return true;
	return false;
}

static void add_file(const struct memory *memory, uint64_t leaf, struct cached_file *files, size_t *count)
{
	struct cached_file file = { .pages = 0 };
	size_t i, number;

	if (*count == CACHED_FILES_MAX || !climb(memory, leaf, &file.root))
		return;
	for (i = 0; i < *count; i++)
		if (files[i].root == file.root)
			return;
	while (cached_page(memory, file.root, file.pages, &number))
		file.pages++;
	if (file.pages != 0)
		files[(*count)++] = file;
}

size_t cached_files(const struct memory *memory, const char identifier[4], struct cached_file *files)
{
	uint64_t pointers[HEADERS_MAX], words[CACHE_PAGE / 8];
	size_t headers = find_headers(memory, identifier, pointers), number, count = 0, i;

	for (number = 0; headers != 0 && number < memory->pages; number++) {
		const uint8_t *page = memory->page(memory->context, number);

		if (page == NULL)
			continue;
		memcpy(words, page, sizeof(words));
		/* The first slot of a leaf. */
		for (i = 0; i < CACHE_PAGE / 8; i++)
			if (is_one_of(words[i], pointers, headers))
				add_file(memory, memory->base + number * CACHE_PAGE + i * 8 - NODE_SLOTS, files, &count);
	}
	return count;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "population.h"

static int walk_data(const struct population *population, const struct population_steps *steps, void *context)
{
	const struct layout *layout = population->layout;
	/* The layout puts them in ascending order. */
	const struct {
		uint64_t ipa;
		const void *bytes;
		uint64_t size;
	} parts[] = {
		{ layout->kernel, population->kernel, layout->kernel_bytes },
		{ layout->initrd, population->initrd, layout->initrd_bytes },
		{ layout->dtb, population->dtb, population->dtb_bytes },
	};
	unsigned int i;
	int result = 0;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]) && result == 0; i++)
		if (parts[i].size != 0)
			result = steps->data(context, parts[i].ipa, parts[i].bytes, page_align(parts[i].size));
	return result;
}

int population_content(const struct population *population, const struct population_steps *steps, void *context)
{
	int result = steps->init_ripas(context, RAM_BASE, RAM_BASE + population->layout->ram_bytes);

	return result != 0 ? result : walk_data(population, steps, context);
}

int population_start(const struct population *population, const struct population_steps *steps, void *context)
{
	const struct layout *layout = population->layout;
	int result = steps->rec(context, 0, true, layout->kernel, layout->dtb);
	unsigned int i;

	for (i = 1; i < layout->vcpus && result == 0; i++)
		result = steps->rec(context, i, false, 0, 0);
	return result != 0 ? result : steps->activate(context);
}

int population_walk(const struct population *population, const struct population_steps *steps, void *context)
{
	int result = population_content(population, steps, context);

	return result != 0 ? result : population_start(population, steps, context);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"

#include "console.h"
#include "memory.h"
#include "realm_ops.h"
#include "rmi.h"

_Static_assert(IMAGE_BASE == REALM_BASE, "realm.lds");

/* ---- What is measured, for the test's own computation ---------------------------------------------------- */

static void tell(const struct realm *realm, const char *what, const uint64_t *values, unsigned int count)
{
	char name[2] = { realm->name, '\0' };
	unsigned int i;

	if (realm->name == '\0')
		return;
	print_text("# rim ");
	print_text(name);
	print_text(" ");
	print_text(what);
	for (i = 0; i < count; i++) {
		print_text(" ");
		print_hex(values[i]);
	}
	print_text("\n");
}

static void tell_create(const struct realm *realm, const struct realm_params *params)
{
	const uint64_t values[] = { params->flags, params->s2sz, params->num_bps, params->num_wps, params->hash_algo };

	tell(realm, "create", values, 5);
}

static void tell_data(const struct realm *realm, uint64_t ipa, uint64_t flags, uint64_t source)
{
	uint64_t image = (uint64_t)realm_image;
	bool of_image = source >= image && source < (uint64_t)realm_image_end;
	const uint64_t values[] = { ipa, flags, of_image ? source - image : page_words(source)[0] };

	tell(realm, of_image ? "image" : "number", values, 3);
}

static void tell_rec(const struct realm *realm, const struct rec_params *params)
{
	uint64_t values[10] = { params->flags, params->pc };
	unsigned int i;

	for (i = 0; i < 8; i++)
		values[2 + i] = params->gprs[i];
	tell(realm, "rec", values, 10);
}

/* ---- Making ---------------------------------------------------------------------------------------------- */

struct realm_params *fill_realm_params(uint64_t page, unsigned int s2sz, int level, unsigned int roots, uint16_t vmid)
{
	struct realm_params *params = (struct realm_params *)page;
	unsigned int i;

	page_fill(page, 0);
	params->s2sz = (uint8_t)s2sz;
	params->num_bps = (uint8_t)FEATURE_BPS(features());
	params->num_wps = (uint8_t)FEATURE_WPS(features());
	params->vmid = vmid;
	params->rtt_level_start = level;
	params->rtt_num_start = roots;
	for (i = 0; i < sizeof(params->rpv); i++)
		params->rpv[i] = (uint8_t)(0xc0 + i);
	return params;
}

uint64_t realm_create(struct realm *realm, unsigned int s2sz, int level, unsigned int roots, uint16_t vmid)
{
	struct realm_params *params;
	struct rmi_result result;

	realm->params = page_normal();
	realm->run = page_normal();
	realm->rd = page_delegated();
	realm->root = pages_delegated(roots, roots);
	realm->roots = roots;
	params = fill_realm_params(realm->params, s2sz, level, roots, vmid);
	params->rtt_base = realm->root;
	params->hash_algo = realm->hash_algo;
	params->flags = realm->flags;
	result = rmi(RMI_REALM_CREATE, realm->rd, realm->params);
	if (result.status != RMI_SUCCESS)
		return result.status;
	tell_create(realm, params);
	result = rmi(RMI_REC_AUX_COUNT, realm->rd);
	realm->aux_count = result.out[0] <= MAX_AUX ? result.out[0] : MAX_AUX;
	return result.status;
}

uint64_t realm_table(struct realm *realm, uint64_t ipa, uint64_t level)
{
	struct realm_table *table = &realm->table[realm->tables];
	uint64_t status;

	if (realm->tables == REALM_TABLES)
		bail_out("too many tables");
	*table = (struct realm_table){ ipa, level, page_delegated() };
	status = rmi(RMI_RTT_CREATE, realm->rd, table->pa, ipa, level).status;
	if (status == RMI_SUCCESS)
		realm->tables++;
	else
		(void)page_release(table->pa);
	return status;
}

uint64_t realm_tables(struct realm *realm, uint64_t ipa)
{
	uint64_t status = RMI_SUCCESS, level = rmi(RMI_RTT_READ_ENTRY, realm->rd, ipa & ~(PAGE - 1), 3).out[0];

	while (status == RMI_SUCCESS && level != 3) {
		/* Of an entry at the level that the walk reached, which may be -1. */
		uint64_t span = BIT(39 - 9 * level);

		status = realm_table(realm, ipa & ~(span - 1), ++level);
	}
	return status;
}

uint64_t realm_ram(struct realm *realm, uint64_t base, uint64_t top, uint64_t step)
{
	while (base < top) {
		struct rmi_result result = rmi(RMI_RTT_INIT_RIPAS, realm->rd, base, top);

		if (result.status != RMI_SUCCESS)
			return result.status;
		for (; base < result.out[0]; base += step)
			tell(realm, "ripas", (const uint64_t[]){ base, base + step }, 2);
	}
	return RMI_SUCCESS;
}

static void add_page(struct realm *realm, uint64_t ipa, uint64_t pa)
{
	if (realm->pages == REALM_PAGES)
		bail_out("too many pages");
	realm->page[realm->pages++] = (struct realm_page){ ipa, pa };
}

uint64_t realm_data(struct realm *realm, uint64_t ipa, uint64_t source, uint64_t flags)
{
	uint64_t pa = page_delegated(), status = rmi(RMI_DATA_CREATE, realm->rd, pa, ipa, source, flags).status;

	if (status == RMI_SUCCESS) {
		add_page(realm, ipa, pa);
		tell_data(realm, ipa, flags, source);
	} else {
		(void)page_release(pa);
	}
	return status;
}

uint64_t realm_unknown(struct realm *realm, uint64_t ipa)
{
	uint64_t pa = page_delegated(), status = rmi(RMI_DATA_CREATE_UNKNOWN, realm->rd, pa, ipa).status;

	if (status == RMI_SUCCESS)
		add_page(realm, ipa, pa);
	else
		(void)page_release(pa);
	return status;
}

/* The image from its first page on: one call a page. */
static uint64_t load_pages(struct realm *realm)
{
	uint64_t source = (uint64_t)realm_image, ipa = IMAGE_BASE, status = RMI_SUCCESS;

	for (; source < (uint64_t)realm_image_end && status == RMI_SUCCESS; source += PAGE, ipa += PAGE)
		status = realm_data(realm, ipa, source, DATA_MEASURE);
	return status;
}

uint64_t realm_image_load(struct realm *realm)
{
	uint64_t unmeasured = page_normal(), status = realm_tables(realm, IMAGE_BASE);

	page_number(unmeasured, UNMEASURED_VALUE);
	if (status == RMI_SUCCESS)
		status = realm_ram(realm, IMAGE_BASE, IMAGE_TOP, PAGE);
	if (status == RMI_SUCCESS)
		status = realm_ram(realm, LATER_BASE, LATER_TOP, BLOCK);
	if (status == RMI_SUCCESS)
		status = load_pages(realm);
	if (status == RMI_SUCCESS)
		status = realm_data(realm, UNMEASURED_IPA, unmeasured, 0);
	(void)page_release(unmeasured);
	return status;
}

/* ---- RECs ------------------------------------------------------------------------------------------------ */

uint64_t rec_mpidr(uint64_t index)
{
	return (index & 0xf) | index >> 4 << 8;
}

struct rec_params *realm_rec_params(struct realm *realm, struct realm_rec *rec)
{
	struct rec_params *params = (struct rec_params *)realm->params;
	uint64_t i;

	page_fill(realm->params, 0);
	params->pc = IMAGE_BASE;
	params->num_aux = realm->aux_count;
	rec->pa = page_delegated();
	for (i = 0; i < realm->aux_count; i++) {
		rec->aux[i] = page_delegated();
		params->aux[i] = rec->aux[i];
	}
	return params;
}

void rec_release(struct realm *realm, struct realm_rec *rec)
{
	uint64_t i;

	(void)page_release(rec->pa);
	for (i = 0; i < realm->aux_count; i++)
		(void)page_release(rec->aux[i]);
}

uint64_t realm_rec(struct realm *realm, uint64_t mpidr, uint64_t flags)
{
	struct realm_rec *rec = &realm->rec[realm->recs];
	struct rec_params *params = realm_rec_params(realm, rec);
	uint64_t status;
	unsigned int i;

	params->mpidr = mpidr;
	params->flags = flags;
	for (i = 0; i < 8; i++)
		params->gprs[i] = START_GPR(i);
	status = rmi(RMI_REC_CREATE, realm->rd, rec->pa, realm->params).status;
	if (status != RMI_SUCCESS) {
		rec_release(realm, rec);
		return status;
	}
	if ((flags & REC_RUNNABLE) != 0)
		tell_rec(realm, params);
	realm->recs++;
	return RMI_SUCCESS;
}

/* ---- Taking apart ---------------------------------------------------------------------------------------- */

bool realm_forget_page(struct realm *realm, uint64_t ipa)
{
	unsigned int i;

	for (i = 0; i < realm->pages; i++) {
		if (realm->page[i].ipa == ipa) {
			uint64_t pa = realm->page[i].pa;

			realm->page[i] = realm->page[--realm->pages];
			return page_release(pa);
		}
	}
	return false;
}

bool realm_forget_table(struct realm *realm, uint64_t ipa, uint64_t level)
{
	unsigned int i;

	for (i = 0; i < realm->tables; i++) {
		if (realm->table[i].ipa == ipa && realm->table[i].level == level) {
			uint64_t pa = realm->table[i].pa;

			realm->table[i] = realm->table[--realm->tables];
			return page_release(pa);
		}
	}
	return false;
}

uint64_t realm_destroy_recs(struct realm *realm)
{
	uint64_t status = RMI_SUCCESS;

	while (status == RMI_SUCCESS && realm->recs != 0) {
		status = rmi(RMI_REC_DESTROY, realm->rec[realm->recs - 1].pa).status;
		if (status == RMI_SUCCESS)
			rec_release(realm, &realm->rec[--realm->recs]);
	}
	return status;
}

static uint64_t destroy_pages(struct realm *realm)
{
	while (realm->pages != 0) {
		struct realm_page page = realm->page[realm->pages - 1];
		uint64_t status = rmi(RMI_DATA_DESTROY, realm->rd, page.ipa).status;

		if (status != RMI_SUCCESS)
			return status;
		realm->pages--;
		(void)page_release(page.pa);
	}
	return RMI_SUCCESS;
}

static uint64_t destroy_tables(struct realm *realm, uint64_t level)
{
	unsigned int i = 0;

	while (i < realm->tables) {
		struct realm_table table = realm->table[i];
		uint64_t status;

		if (table.level != level) {
			i++;
			continue;
		}
		status = rmi(RMI_RTT_DESTROY, realm->rd, table.ipa, level).status;
		if (status != RMI_SUCCESS)
			return status;
		(void)realm_forget_table(realm, table.ipa, level);
	}
	return RMI_SUCCESS;
}

uint64_t realm_destroy(struct realm *realm)
{
	uint64_t status = realm_destroy_recs(realm), level, i;

	if (status == RMI_SUCCESS)
		status = destroy_pages(realm);
	for (level = 4; level-- > 0 && status == RMI_SUCCESS;)
		status = destroy_tables(realm, level);
	if (status == RMI_SUCCESS)
		status = rmi(RMI_REALM_DESTROY, realm->rd).status;
	if (status != RMI_SUCCESS)
		return status;
	(void)page_release(realm->rd);
	for (i = 0; i < realm->roots; i++)
		(void)page_release(realm->root + i * PAGE);
	(void)page_release(realm->params);
	(void)page_release(realm->run);
	return RMI_SUCCESS;
}

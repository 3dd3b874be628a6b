/* SPDX-License-Identifier: Apache-2.0 */
/* B4.3: REALM_CREATE, REALM_DESTROY. */
#include "checks.h"

/* Good parameters and granules, for one value after the other to be spoiled. */
struct attempt {
	uint64_t rd, roots, page;
	struct realm_params *params;
};

static struct attempt attempt(void)
{
	struct attempt try = { page_delegated(), pages_delegated(2, 4), page_normal(), 0 };

	try.params = fill_realm_params(try.page, S2SZ, 1, 1, 77);
	try.params->rtt_base = try.roots;
	return try;
}

/* Nothing was taken: everything goes back, and the VMID is free. */
static void after(const struct attempt *try)
{
	try->params->vmid = 77;
	EXPECT_TRUE(page_release(try->rd));
	EXPECT_TRUE(page_release(try->roots));
	EXPECT_TRUE(page_release(try->roots + PAGE));
	EXPECT_TRUE(page_release(try->page));
}

#define EXPECT_REFUSED(try) EXPECT(rmi(RMI_REALM_CREATE, (try).rd, (try).page).status, RMI_ERROR_INPUT)

/* A variation of one parameter. */
#define SPOIL(try, member, value)                                                                              \
	do {                                                                                                   \
		struct realm_params kept_ = *(try).params;                                                     \
		(try).params->member = (value);                                                                \
		EXPECT_REFUSED(try);                                                                           \
		*(try).params = kept_;                                                                         \
	} while (0)

static void params_pointer(void)
{
	struct attempt try = attempt();
	uint64_t hidden = page_delegated();

	EXPECT(rmi(RMI_REALM_CREATE, try.rd, try.page + 8).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_CREATE, try.rd, hidden).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_CREATE, try.rd, 0x40100000).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_CREATE, try.rd, ~(PAGE - 1)).status, RMI_ERROR_INPUT);
	EXPECT_TRUE(page_release(hidden));
	after(&try);
}

static void rd_granule(void)
{
	struct attempt try = attempt();
	uint64_t ns = page_normal();

	EXPECT(rmi(RMI_REALM_CREATE, try.rd + 8, try.page).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_CREATE, ns, try.page).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_CREATE, 0x40100000, try.page).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_CREATE, BIT(48), try.page).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_CREATE, try.roots, try.page).status, RMI_ERROR_INPUT);
	EXPECT_TRUE(page_release(ns));
	after(&try);
}

static void root_tables(void)
{
	struct attempt try = attempt();
	uint64_t ns = page_normal();

	SPOIL(try, rtt_base, try.roots + 8);
	SPOIL(try, rtt_base, ns);
	SPOIL(try, rtt_base, 0x40100000);
	SPOIL(try, rtt_base, BIT(48));
	SPOIL(try, rtt_base, ~(PAGE - 1));
	EXPECT_TRUE(page_release(ns));
	after(&try);
}

static void concatenated_roots(void)
{
	struct attempt try = attempt();
	struct realm_params *params = fill_realm_params(try.page, 32, 2, 4, 77);
	uint64_t four = pages_delegated(6, 8), i;

	params->rtt_base = four + PAGE;          /* not aligned to the block */
	EXPECT_REFUSED(try);
	params->rtt_base = try.roots;            /* the last two are not delegated */
	EXPECT_REFUSED(try);
	params->rtt_base = four;
	EXPECT(rmi(RMI_REALM_CREATE, four, try.page).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_CREATE, four + 3 * PAGE, try.page).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_CREATE, four + 4 * PAGE, try.page).status, RMI_SUCCESS);
	for (i = 0; i < 5; i++)
		EXPECT(rmi(RMI_GRANULE_UNDELEGATE, four + i * PAGE).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_DESTROY, four + 4 * PAGE).status, RMI_SUCCESS);
	for (i = 0; i < 6; i++)
		EXPECT_TRUE(page_release(four + i * PAGE));
	after(&try);
}

static void shape(void)
{
	struct attempt try = attempt();

	SPOIL(try, s2sz, (uint8_t)(FEATURE_S2SZ(features()) + 1));
	SPOIL(try, s2sz, 255);
	SPOIL(try, s2sz, 0);
	SPOIL(try, s2sz, 12);
	SPOIL(try, s2sz, 48);                    /* needs level 0 */
	SPOIL(try, rtt_level_start, -1);
	SPOIL(try, rtt_level_start, 4);
	SPOIL(try, rtt_level_start, INT64_MIN);
	SPOIL(try, rtt_level_start, 0);          /* covers far more than 33 bits */
	SPOIL(try, rtt_level_start, 2);          /* needs 8 tables */
	SPOIL(try, rtt_num_start, 0);
	SPOIL(try, rtt_num_start, 2);
	SPOIL(try, rtt_num_start, 17);
	SPOIL(try, rtt_num_start, UINT32_MAX);
	after(&try);
}

static void capabilities(void)
{
	struct attempt try = attempt();

	SPOIL(try, hash_algo, 0x55);
	SPOIL(try, num_bps, 255);
	SPOIL(try, num_wps, 255);
	if ((features() & FEATURE_LPA2) == 0)
		SPOIL(try, flags, PARAM_LPA2);
	if ((features() & FEATURE_SVE) == 0)
		SPOIL(try, flags, PARAM_SVE);
	if ((features() & FEATURE_PMU) == 0)
		SPOIL(try, flags, PARAM_PMU);
	after(&try);
}

/* B4.3.9 has no failure condition on them. */
static void reserved_flags(void)
{
	struct attempt try = attempt();

	try.params->flags = ~(PARAM_LPA2 | PARAM_SVE | PARAM_PMU);
	EXPECT(rmi(RMI_REALM_CREATE, try.rd, try.page).status, RMI_SUCCESS);
	EXPECT(rmi(RMI_REALM_DESTROY, try.rd).status, RMI_SUCCESS);
	after(&try);
}

static void created(void)
{
	uint64_t status = realm_create(&lab, S2SZ, 1, 1, LAB_VMID);

	EXPECT(status, RMI_SUCCESS);
	EXPECT(rmi(RMI_GRANULE_UNDELEGATE, lab.rd).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_GRANULE_UNDELEGATE, lab.root).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_GRANULE_DELEGATE, lab.rd).status, RMI_ERROR_INPUT);
	EXPECT(probe_read(lab.rd, 1), 1);
	EXPECT(ESR_FSC(probe_esr), FSC_GPF);
	EXPECT(probe_read(lab.root, 1), 1);
	EXPECT(ESR_FSC(probe_esr), FSC_GPF);
}

static void granules_in_use(void)
{
	struct attempt try = attempt();

	EXPECT(rmi(RMI_REALM_CREATE, lab.rd, try.page).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_CREATE, lab.root, try.page).status, RMI_ERROR_INPUT);
	SPOIL(try, rtt_base, lab.root);
	SPOIL(try, rtt_base, lab.rd);
	after(&try);
}

static void vmid_in_use(void)
{
	struct attempt try = attempt();

	SPOIL(try, vmid, LAB_VMID);
	EXPECT(rmi(RMI_REALM_CREATE, try.rd, try.page).status, RMI_SUCCESS);
	EXPECT(rmi(RMI_REALM_DESTROY, try.rd).status, RMI_SUCCESS);
	/* Free again. */
	EXPECT(rmi(RMI_REALM_CREATE, try.rd, try.page).status, RMI_SUCCESS);
	EXPECT(rmi(RMI_REALM_DESTROY, try.rd).status, RMI_SUCCESS);
	after(&try);
}

static void destroyed(void)
{
	struct attempt try = attempt();

	EXPECT(rmi(RMI_REALM_DESTROY, try.rd).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_DESTROY, try.page).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_DESTROY, lab.root).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_DESTROY, lab.rd + 8).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_CREATE, try.rd, try.page).status, RMI_SUCCESS);
	EXPECT(rmi(RMI_REALM_DESTROY, try.rd).status, RMI_SUCCESS);
	EXPECT(rmi(RMI_REALM_DESTROY, try.rd).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_ACTIVATE, try.rd).status, RMI_ERROR_INPUT);
	after(&try);
}

const struct check checks_realm[] = {
	CHECK(params_pointer, "REALM_CREATE: parameters must be in normal memory"),
	CHECK(rd_granule, "REALM_CREATE: the descriptor must be a delegated granule"),
	CHECK(root_tables, "REALM_CREATE: the root table must be a delegated granule"),
	CHECK(concatenated_roots, "REALM_CREATE: four root tables, aligned, the descriptor not among them"),
	CHECK(shape, "REALM_CREATE: address width, start level and number of tables must fit"),
	CHECK(capabilities, "REALM_CREATE: what the RMM cannot do is refused"),
	CHECK(reserved_flags, "REALM_CREATE: reserved flags are no failure"),
	CHECK(created, "REALM_CREATE: a realm, whose granules are out of the host's reach"),
	CHECK(granules_in_use, "REALM_CREATE: granules of a realm are refused"),
	CHECK(vmid_in_use, "REALM_CREATE: a VMID serves one realm at a time"),
	CHECK(destroyed, "REALM_DESTROY: only a realm, and only once"),
	CHECKS_END,
};

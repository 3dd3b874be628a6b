/* SPDX-License-Identifier: Apache-2.0 */
/* B4.3: REC_AUX_COUNT, REC_CREATE, REC_DESTROY, REALM_ACTIVATE. */
#include "checks.h"

static void aux_count(void)
{
	struct rmi_result result = rmi(RMI_REC_AUX_COUNT, lab.rd);

	EXPECT(result.status, RMI_SUCCESS);
	EXPECT_TRUE(result.out[0] <= MAX_AUX);
	EXPECT(rmi(RMI_REC_AUX_COUNT, lab.root).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_AUX_COUNT, lab.rd + 8).status, RMI_ERROR_INPUT);
}

/* REC_CREATE with one wrong value in otherwise good parameters. */
#define SPOIL(member, value)                                                                                   \
	do {                                                                                                   \
		uint64_t kept_ = params->member;                                                               \
		params->member = (value);                                                                      \
		EXPECT(rmi(RMI_REC_CREATE, lab.rd, rec.pa, lab.params).status, RMI_ERROR_INPUT);               \
		params->member = kept_;                                                                        \
	} while (0)

static void create_refused(void)
{
	struct realm_rec rec;
	struct rec_params *params = realm_rec_params(&lab, &rec);
	uint64_t ns = page_normal();

	EXPECT(rmi(RMI_REC_CREATE, lab.root, rec.pa, lab.params).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_CREATE, lab.rd, ns, lab.params).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_CREATE, lab.rd, rec.pa + 8, lab.params).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_CREATE, lab.rd, lab.rd, lab.params).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_CREATE, lab.rd, BIT(48), lab.params).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_CREATE, lab.rd, rec.pa, lab.params + 8).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_CREATE, lab.rd, rec.pa, lab.root).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_CREATE, lab.rd, rec.pa, 0x40100000).status, RMI_ERROR_INPUT);
	SPOIL(num_aux, lab.aux_count + 1);
	SPOIL(num_aux, ~UINT64_C(0));
	if (lab.aux_count != 0) {
		SPOIL(num_aux, lab.aux_count - 1);
		SPOIL(aux[0], params->aux[0] + 8);
		SPOIL(aux[0], ns);
		SPOIL(aux[0], rec.pa);
	}
	if (lab.aux_count > 1)
		SPOIL(aux[1], params->aux[0]);
	rec_release(&lab, &rec);
	EXPECT_TRUE(page_release(ns));
}

static void order(void)
{
	struct realm_rec rec;
	struct rec_params *params = realm_rec_params(&lab, &rec);

	SPOIL(mpidr, 1);
	SPOIL(mpidr, BIT(8));
	SPOIL(mpidr, BIT(16));
	SPOIL(mpidr, BIT(24));
	SPOIL(mpidr, ~UINT64_C(0));
	rec_release(&lab, &rec);
	EXPECT(realm_rec(&lab, 0, REC_RUNNABLE), RMI_SUCCESS);
	EXPECT(realm_rec(&lab, 0, 0), RMI_ERROR_INPUT);
	EXPECT(realm_rec(&lab, 2, 0), RMI_ERROR_INPUT);
	EXPECT(realm_rec(&lab, 1, 0), RMI_SUCCESS);
	EXPECT(lab.recs, 2);
}

/* B4.3.12 has no failure condition on them: of flags and MPIDR only the fields count. */
static void reserved(void)
{
	static struct realm loose;

	EXPECT(realm_create(&loose, S2SZ, 1, 1, 13), RMI_SUCCESS);
	EXPECT(realm_rec(&loose, ~UINT64_C(0xffffff0f), ~REC_RUNNABLE), RMI_SUCCESS);
	EXPECT(realm_rec(&loose, ~UINT64_C(0xffffff0f) | 1, REC_RUNNABLE), RMI_SUCCESS);
	EXPECT(rmi(RMI_REALM_ACTIVATE, loose.rd).status, RMI_SUCCESS);
	page_fill(loose.run, 0);
	EXPECT(enter(&loose, 0), RMI_ERROR_REC);
	EXPECT(enter(&loose, 1), RMI_SUCCESS);
	EXPECT(realm_destroy(&loose), RMI_SUCCESS);
}

static void granules(void)
{
	uint64_t i;

	EXPECT(rmi(RMI_GRANULE_UNDELEGATE, lab.rec[0].pa).status, RMI_ERROR_INPUT);
	EXPECT(probe_read(lab.rec[0].pa, 3), 3);
	EXPECT(ESR_FSC(probe_esr), FSC_GPF);
	for (i = 0; i < lab.aux_count; i++)
		EXPECT(rmi(RMI_GRANULE_UNDELEGATE, lab.rec[0].aux[i]).status, RMI_ERROR_INPUT);
}

static void destroy_refused(void)
{
	uint64_t ns = page_normal(), mine = page_delegated();

	EXPECT(rmi(RMI_REC_DESTROY, ns).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_DESTROY, mine).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_DESTROY, lab.rd).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REC_DESTROY, lab.rec[0].pa + 8).status, RMI_ERROR_INPUT);
	EXPECT_TRUE(page_release(ns));
	EXPECT_TRUE(page_release(mine));
}

/* Index 15 is the last of Aff0, 16 the first of Aff1. */
static void seventeen(void)
{
	static struct realm many;
	uint64_t i;

	EXPECT(realm_create(&many, S2SZ, 1, 1, 11), RMI_SUCCESS);
	if (FEATURE_RECS_ORDER(features()) < 5)
		skip_check("at most 15 RECs");
	for (i = 0; i < 17 && FEATURE_RECS_ORDER(features()) >= 5; i++) {
		EXPECT(realm_rec(&many, i + 1, 0), RMI_ERROR_INPUT);
		EXPECT(realm_rec(&many, rec_mpidr(i), 0), RMI_SUCCESS);
	}
	EXPECT(realm_destroy(&many), RMI_SUCCESS);
}

/* The count of RECs goes down again, the index of the next does not. */
static void destroy(void)
{
	static struct realm few;

	EXPECT(realm_create(&few, S2SZ, 1, 1, 12), RMI_SUCCESS);
	EXPECT(realm_rec(&few, 0, 0), RMI_SUCCESS);
	EXPECT(rmi(RMI_REALM_DESTROY, few.rd).status, RMI_ERROR_REALM(0));
	EXPECT(realm_destroy_recs(&few), RMI_SUCCESS);
	EXPECT(realm_rec(&few, 0, 0), RMI_ERROR_INPUT);
	EXPECT(realm_rec(&few, 1, 0), RMI_SUCCESS);
	EXPECT(realm_destroy(&few), RMI_SUCCESS);
}

static void enter_new(void)
{
	page_fill(lab.run, 0);
	EXPECT(enter(&lab, 0), RMI_ERROR_REALM(0));
	EXPECT(enter(&lab, 1), RMI_ERROR_REALM(0));
}

static void activate(void)
{
	uint64_t ns = page_normal();

	EXPECT(rmi(RMI_REALM_ACTIVATE, ns).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_ACTIVATE, lab.root).status, RMI_ERROR_INPUT);
	EXPECT(rmi(RMI_REALM_ACTIVATE, lab.rd).status, RMI_SUCCESS);
	EXPECT(rmi(RMI_REALM_ACTIVATE, lab.rd).status, RMI_ERROR_REALM(0));
	EXPECT(realm_rec(&lab, 2, REC_RUNNABLE), RMI_ERROR_REALM(0));
	EXPECT(realm_ram(&lab, LATER_TOP, LATER_TOP + BLOCK, BLOCK), RMI_ERROR_REALM(0));
	EXPECT(realm_data(&lab, IMAGE_TOP - 3 * PAGE, ns, DATA_MEASURE), RMI_ERROR_REALM(0));
	EXPECT(rmi(RMI_REALM_DESTROY, lab.rd).status, RMI_ERROR_REALM(0));
	EXPECT_TRUE(page_release(ns));
}

const struct check checks_rec[] = {
	CHECK(aux_count, "REC_AUX_COUNT: at most 16"),
	CHECK(create_refused, "REC_CREATE: wrong granules, parameters and auxiliary granules are refused"),
	CHECK(order, "REC_CREATE: in the order of MPIDR"),
	CHECK(reserved, "REC_CREATE: reserved bits of flags and MPIDR are no failure"),
	CHECK(granules, "REC_CREATE: its granules are out of the host's reach"),
	CHECK(destroy_refused, "REC_DESTROY: only a REC"),
	CHECK(destroy, "REC_DESTROY: gives the granules back, the index stays used"),
	CHECK(seventeen, "REC_CREATE: the seventeenth is 0.0.1.0"),
	CHECK(enter_new, "REC_ENTER: not before the realm is active"),
	CHECK(activate, "REALM_ACTIVATE: once; then nothing that is measured can be added"),
	CHECKS_END,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "realm_params.h"

#include "error.h"
#include "rmi_numbers.h"

/* The debug registers of the emulated CPU, less one each, as a normal VM sees them. Left to the driver they would be what
 * feature register 0 says, and no part of a measurement that is known beforehand. */
#define NUM_BPS 5U
#define NUM_WPS 3U

struct realm_create realm_params(void)
{
	return (struct realm_create){ .ipa_bits = IPA_BITS, .hash_algo = REALM_HASH_SHA_256, .num_bps = NUM_BPS,
				      .num_wps = NUM_WPS };
}

struct realm_rec_create realm_params_rec(unsigned int index, bool runnable, uint64_t pc, uint64_t x0)
{
	/* Aff0 alone: there are no more than MAX_VCPUS. */
	return (struct realm_rec_create){ .mpidr = index, .pc = pc, .gprs = { x0 },
					  .flags = runnable ? REALM_REC_RUNNABLE : 0 };
}

int realm_params_check(uint64_t features0)
{
	if (RMI_FEATURE_S2SZ(features0) < IPA_BITS)
		return fail("realm: the RMM has %u bits of IPA, expected %u", RMI_FEATURE_S2SZ(features0), IPA_BITS);
	if (RMI_FEATURE_NUM_BPS(features0) < NUM_BPS || RMI_FEATURE_NUM_WPS(features0) < NUM_WPS)
		return fail("realm: the RMM has %u breakpoints and %u watchpoints, expected %u and %u, which are measured",
			    RMI_FEATURE_NUM_BPS(features0) + 1, RMI_FEATURE_NUM_WPS(features0) + 1, NUM_BPS + 1, NUM_WPS + 1);
	return 0;
}

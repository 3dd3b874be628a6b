/* SPDX-License-Identifier: Apache-2.0 */
#include "checks.h"

#include "console.h"

void host_main(void);

struct realm lab = { .name = 'A' };

void host_main(void)
{
	static const struct check *const groups[] = {
		checks_version, checks_granule, checks_realm, checks_rtt, checks_fold, checks_data, checks_unprotected,
		checks_rec, checks_enter, checks_rsi, checks_ripas, checks_mmio, checks_abort, checks_gic, checks_psci,
		checks_token, checks_hash, checks_wide, checks_state, checks_two, checks_stuck, checks_off, checks_end,
	};
	unsigned int i;

	print_text("TAP version 13\n");
	print_text("# features ");
	print_hex(features());
	print_text("\n");
	run_init();
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		run_checks(groups[i]);
	end_checks();
}

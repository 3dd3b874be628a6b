/* SPDX-License-Identifier: Apache-2.0 */
#include "rsi_page.h"

#include "rsi_abi.h"
#include "run_abort.h"

enum step rsi_page_not_open(struct run *run, enum page_state state, uint64_t ipa, unsigned int level)
{
	return state == PAGE_REFUSED ? run_smc_done(run->rec, RSI_ERROR_INPUT) : run_leave_absent(run, ipa, level);
}

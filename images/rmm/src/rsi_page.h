/* SPDX-License-Identifier: Apache-2.0 */
/* The page of its own that a realm names in an RSI command. */
#ifndef RMM_RSI_PAGE_H
#define RMM_RSI_PAGE_H

#include "realm_page.h"
#include "step.h"

/* Answer for a page that could not be opened; when the host must provide it the SMC is executed again afterwards. */
enum step rsi_page_not_open(struct run *run, enum page_state state, uint64_t ipa, unsigned int level);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What an unexpected exception looks like: a read of the RMM's memory. */
#include "abi.h"
#include "console.h"

void host_main(void);

void host_main(void)
{
	print_text("TAP version 13\n");
	(void)*(volatile uint64_t *)UINT64_C(0x40100000);
	print_text("1..0\n");
}

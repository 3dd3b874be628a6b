/* SPDX-License-Identifier: Apache-2.0 */
/* The endless exchange with EL3: results out, next request in. */
#include "asm.h"
#include "handlers.h"
#include "target.h"

void main_loop(int64_t boot_status)
{
	/* EL3's function and x1..x5; REQ_COMPLETE hands the latter to the normal world as x0..x4. */
	uint64_t answer[6] = { EL3_BOOT_COMPLETE, (uint64_t)boot_status };
	uint64_t request[8];

	for (;;) {
		el3_request(answer, request);
		rmi_handle(request, &answer[1]);
		answer[0] = EL3_REQ_COMPLETE;
	}
}

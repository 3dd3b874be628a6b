/* SPDX-License-Identifier: Apache-2.0 */
#include "handlers.h"

#include "rmi_commands.h"

typedef uint64_t (*rmi_call)(const uint64_t *in, uint64_t *out);

#define CALL(id, inputs, outputs, function)                                                     \
	static uint64_t call_##function(const uint64_t *in, uint64_t *out)                      \
	{                                                                                       \
		/* Of x1 to x3 the results have been cleared already. */                        \
		if (outputs == 4)                                                               \
			out[3] = 0;                                                             \
		return function(ARITY_LIST(IN_VALUES_##inputs(in) OUT_VALUES_##outputs(out))); \
	}
RMI_COMMANDS(CALL)

#define SLOT(id, inputs, outputs, function) [(id) - RMI_FIRST] = call_##function,
static const rmi_call calls[] = { RMI_COMMANDS(SLOT) };

void rmi_handle(const uint64_t *request, uint64_t *answer)
{
	uint64_t slot = smc_function(request[0]) - RMI_FIRST;

	/* Registers without a result are zero, also those of a command that failed (B1.2). Not so x4, where B1.2 and the SMC
	 * Calling Convention (1.2, 2.6: x4 and up are kept) part: hosts rely on the latter. */
	answer[1] = answer[2] = answer[3] = 0;
	answer[4] = request[4];
	if (slot >= ARRAY_SIZE(calls) || calls[slot] == NULL)
		answer[0] = SMC_NOT_SUPPORTED;
	else
		answer[0] = calls[slot](&request[1], &answer[1]);
}

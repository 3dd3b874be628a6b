/* SPDX-License-Identifier: Apache-2.0 */
#include "handlers.h"

#include "rmi_commands.h"

typedef uint64_t (*rmi_call)(const uint64_t *in, uint64_t *out);

#define CALL(id, inputs, outputs, function)                                                     \
	static uint64_t call_##function(const uint64_t *in, uint64_t *out)                      \
	{                                                                                       \
		(void)out;                                                                      \
		return function(ARITY_LIST(IN_VALUES_##inputs(in) OUT_VALUES_##outputs(out))); \
	}
RMI_COMMANDS(CALL)

#define SLOT(id, inputs, outputs, function) [(id) - RMI_FIRST] = call_##function,
static const rmi_call calls[] = { RMI_COMMANDS(SLOT) };

void rmi_handle(const uint64_t *request, uint64_t *answer)
{
	uint64_t slot = smc_function(request[0]) - RMI_FIRST;

	/* Registers without a result are zero, also those of a command that failed. */
	answer[1] = answer[2] = answer[3] = answer[4] = 0;
	if (slot >= ARRAY_SIZE(calls) || calls[slot] == NULL)
		answer[0] = SMC_NOT_SUPPORTED;
	else
		answer[0] = calls[slot](&request[1], &answer[1]);
}

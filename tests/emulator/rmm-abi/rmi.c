/* SPDX-License-Identifier: Apache-2.0 */
#include "rmi.h"

#include "abi.h"

struct rmi_result rmi_call(const uint64_t *arguments)
{
	uint64_t registers[18] = { 0 };
	unsigned int i;

	for (i = 0; i < 8; i++)
		registers[i] = arguments[i];
	host_smc(registers);
	return (struct rmi_result){ registers[0], { registers[1], registers[2], registers[3], registers[4] } };
}

struct rmi_result rmi_marked(uint64_t id, const uint64_t *arguments)
{
	uint64_t registers[6];
	unsigned int i;

	for (i = 0; i < 6; i++)
		registers[i] = arguments[i];
	host_smc_marked(registers, id);
	return (struct rmi_result){ registers[0], { registers[1], registers[2], registers[3], registers[4] } };
}

uint64_t features(void)
{
	static uint64_t value;

	if (value == 0)
		value = rmi(RMI_FEATURES, 0).out[0];
	return value;
}

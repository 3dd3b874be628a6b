// SPDX-License-Identifier: Apache-2.0
#include "packets.h"

#include <inttypes.h>
#include <string.h>

/* Lines are `  NAME: BYTES PACKETS ...`, behind two of headings. */
uint64_t packets_parse(FILE *stream)
{
	uint64_t sum = 0;
	char line[512];

	while (fgets(line, sizeof(line), stream)) {
		char *colon = strchr(line, ':');
		uint64_t bytes, packets;

		if (!colon || sscanf(colon + 1, "%" SCNu64 " %" SCNu64, &bytes, &packets) != 2)
			continue;
		*colon = '\0';
		if (strcmp(line + strspn(line, " "), "lo"))
			sum += packets;
	}
	return sum;
}

uint64_t packets_received(void)
{
	FILE *stream = fopen("/proc/net/dev", "re");
	uint64_t sum;

	if (!stream)
		return 0;
	sum = packets_parse(stream);
	fclose(stream);
	return sum;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What RMI 1.0 says of a walk. */
#ifndef RMM_RMI_RTT_H
#define RMM_RMI_RTT_H

#include "rmi.h"
#include "rtt.h"

/* Status ERROR_RTT with the level that a walk reached. */
static inline uint64_t rmi_rtt_error(const struct rtt_walk *walk)
{
	return RMI_STATUS(RMI_ERROR_RTT, walk->level);
}

#endif

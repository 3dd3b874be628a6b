/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's interface to whatever vouches for this machine: configfs, tsm/report. */
#ifndef REPORT_H
#define REPORT_H

#include <stddef.h>

#define REPORT_CHALLENGE_BYTES 64       /* RSI_ATTESTATION_TOKEN_INIT (RMM specification 1.0, B5.3): x1 to x8 */
#define REPORT_TOKEN_MAX       65536

/* The token for a challenge; its length, or -1 with errno: nothing vouches for this machine, or it would not now. */
long report_token(const unsigned char challenge[REPORT_CHALLENGE_BYTES], unsigned char *token, size_t max);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "pl031.h"

enum {
	RTCDR = 0x00,
	RTCMR = 0x04,
	RTCLR = 0x08,
	RTCCR = 0x0c,
	RTCIMSC = 0x10,
	RTCPERIPHID0 = 0xfe0,
};

#define CR_STARTED 1U
#define INT_ALARM  1U

/* RTCPeriphID0..3 and RTCPCellID0..3: what an AMBA bus driver finds the device by. */
static const uint8_t identification[] = { 0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

uint32_t pl031_read(const struct pl031 *rtc, uint32_t offset, uint32_t now)
{
	if (offset >= RTCPERIPHID0 && offset < 0x1000)
		return identification[(offset - RTCPERIPHID0) / 4];
	switch (offset) {
	case RTCDR:
		return now + rtc->ahead;
	case RTCMR:
		return rtc->match;
	case RTCLR:
		return now + rtc->ahead;
	case RTCCR:
		return CR_STARTED;
	case RTCIMSC:
		return rtc->mask;
	default:
		return 0;
	}
}

void pl031_write(struct pl031 *rtc, uint32_t offset, uint32_t value, uint32_t now)
{
	switch (offset) {
	case RTCMR:
		rtc->match = value;
		break;
	case RTCLR:
		rtc->ahead = value - now;
		break;
	case RTCIMSC:
		rtc->mask = value & INT_ALARM;
		break;
	default:
		break;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the program and the code it runs in a realm agree on. */
#ifndef PAYLOAD_H
#define PAYLOAD_H

/* The realm asks for orders by host calls; the answer's gprs are order, address, value. It writes results to gprs[0]. */
#define ORDER_NOTHING 0
#define ORDER_LOAD    1 /* gprs[0] = *(u64 *)address */
#define ORDER_STORE   2 /* *(u64 *)address = value */
#define ORDER_OFF     3 /* PSCI SYSTEM_OFF */
#define ORDER_SPIN    4 /* never comes back */
#define ORDER_EMPTY   5 /* RSI_IPA_STATE_SET of the page at `address` to EMPTY; gprs[0] = result */
#define ORDER_RAM     6 /* likewise to RAM */

#define PAYLOAD_IMM   0x2a

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RVMM_OOM_H
#define RVMM_OOM_H

/*
 * Should the host run out of memory, its guests go before its services: what a realm holds is nowhere in the VMM's size. For
 * this process and those it starts; that it cannot be done is told, and no more.
 */
void offer_to_oom_killer(void);

#endif

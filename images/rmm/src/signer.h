/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures (ES384) that an interrupt may break off.
 *
 * A signature takes millions of instructions, so it is computed on a stack of its own, with interrupts open. One that comes
 * leaves everything as it is there; whoever asks again goes on with it, on whatever CPU. There are SIGNERS such
 * stacks, more than CPUs. When all are in use the one that has waited longest is taken away, and its signature starts anew when it
 * is asked for again: so nobody who gets to run waits for somebody who does not.
 */
#ifndef RMM_SIGNER_H
#define RMM_SIGNER_H

#include "es384.h"
#include "types.h"

/* Sign `message` with the Realm Attestation Key, or go on with that. `owner` names the signature from call to call, together
 * with the same message; it makes one at a time. */
enum signing signer_sign(const void *owner, const uint8_t *message, size_t bytes, uint8_t *signature);
/* The owner wants no more of it. */
void signer_forget(const void *owner);

#endif

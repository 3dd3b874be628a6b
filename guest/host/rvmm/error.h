/* SPDX-License-Identifier: Apache-2.0 */
/* Errors are return values; the text that a person reads is kept beside, one a thread. */
#ifndef RVMM_ERROR_H
#define RVMM_ERROR_H

/* Note what went wrong (one line); always -1, so that a function can `return fail(...)`. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same with errno's text behind it. */
int fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What this thread noted last. */
const char *failure(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that are made wait here until all of them may start to work: what limits them is set up in between. */
#ifndef RVMM_GATE_H
#define RVMM_GATE_H

#include <pthread.h>
#include <stdbool.h>

struct gate {
	pthread_mutex_t lock;  /* protects: */
	pthread_cond_t moved;
	unsigned int waiting;
	bool open;
};

static inline void gate_init(struct gate *gate)
{
	(void)pthread_mutex_init(&gate->lock, NULL);
	(void)pthread_cond_init(&gate->moved, NULL);
	gate->waiting = 0;
	gate->open = false;
}

/* A thread has come up and waits. */
static inline void gate_pass(struct gate *gate)
{
	(void)pthread_mutex_lock(&gate->lock);
	gate->waiting++;
	(void)pthread_cond_broadcast(&gate->moved);
	while (!gate->open)
		(void)pthread_cond_wait(&gate->moved, &gate->lock);
	(void)pthread_mutex_unlock(&gate->lock);
}

/* Until `threads` have come up. */
static inline void gate_await(struct gate *gate, unsigned int threads)
{
	(void)pthread_mutex_lock(&gate->lock);
	while (gate->waiting < threads)
		(void)pthread_cond_wait(&gate->moved, &gate->lock);
	(void)pthread_mutex_unlock(&gate->lock);
}

static inline void gate_open(struct gate *gate)
{
	(void)pthread_mutex_lock(&gate->lock);
	gate->open = true;
	(void)pthread_cond_broadcast(&gate->moved);
	(void)pthread_mutex_unlock(&gate->lock);
}

#endif

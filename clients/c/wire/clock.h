/*
 * clock.h: monotonic milliseconds, the time of day, waiting with a deadline, and random bits. No other file of the library asks
 * the system for them.
 */
#ifndef HALFMQ_CLIENTS_C_CLOCK_H
#define HALFMQ_CLIENTS_C_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

int64_t clock_ms(void);
int64_t clock_us(void);

/* clock_ms(), or up to CLOCK_LATE_MS later: for deadlines that are far away. It costs a fifth to read. */
#define CLOCK_LATE_MS 10
int64_t clock_late_ms(void);

/* The time of day, as Unix milliseconds; for what the broker is told, never for waiting. */
int64_t clock_unix_ms(void);

/* A condition variable whose deadlines are clock_ms() times. False: no memory. */
bool clock_cond_init(pthread_cond_t *cond);

/* False: the deadline passed. */
bool clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ms);

/* 64 random bits; false: the system has none to give. */
bool clock_random(uint64_t *ret_bits);

#endif

/*
 * throttle.h: holds back answers to logins from addresses that have guessed wrong too often.
 *
 *   10 failures of an address within a minute ──► its next answers are held back 1 s, 2 s, 4 s ... 1 min
 *                                                 until a minute has passed without a failure, beyond the last pause
 *
 * All answers to logins of that address are held back, right ones too: else a fast answer would tell that a guess was right.
 * Nothing else is: not what other connections of the address do, nor other addresses. (IPv6: a /64 is one address.)
 *
 * The table has a fixed size; where it is full, the address that has been quiet for longest is forgotten.
 *
 * Pure but for its lock: time is an argument (monotonic, ms). Any thread.
 */
#ifndef HALFMQ_BROKER_THROTTLE_H
#define HALFMQ_BROKER_THROTTLE_H

#include "broker/base/address.h"

#define THROTTLE_FAILURES 10
#define THROTTLE_WINDOW_MS 60000
#define THROTTLE_FIRST_MS 1000
#define THROTTLE_LAST_MS 60000
#define THROTTLE_ADDRESSES 1024

struct throttle;

struct throttle *throttle_new(void); /* NULL: no memory */
void throttle_free(struct throttle *t);

/* How long the next answer to this address is held back; 0: not at all. */
int64_t throttle_hold_ms(struct throttle *t, const struct net_address *from, int64_t now_ms);

/* A login from there has failed. */
void throttle_failed(struct throttle *t, const struct net_address *from, int64_t now_ms);

#endif

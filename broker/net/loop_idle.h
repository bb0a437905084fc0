/*
 * loop_idle.h: the setting idle_timeout: closes connections whose clients send nothing, and wait for nothing.
 *
 * A loop looks at its connections four times in that time, so one is closed up to a quarter later. Who waits for messages,
 * subscribes, has a stream or a command under way, or has not read its replies, is not idle.
 *
 * Threads: the loop's own.
 */
#ifndef HALFMQ_BROKER_LOOP_IDLE_H
#define HALFMQ_BROKER_LOOP_IDLE_H

#include "broker/net/loop.h"

/* Begins to look, where the setting says so and it does not look already. */
void loop_idle_arm(struct loop *l);

#endif

/*
 * serve.h: what commands do, who waits for what, and what is pushed: the sessions behind the connections of
 * broker/net. The tables below are handed to net_new.
 *
 *   net ── session_ops ──► serve.c ──► dispatch, stream, channel, giveback
 *       ── loop_ops ─────►         ──► waiter, channel
 *
 * Threads: each session belongs to its loop's thread.
 */
#ifndef HALFMQ_BROKER_SERVE_H
#define HALFMQ_BROKER_SERVE_H

#include "broker/net/ops.h"
#include "broker/serve/serve_env.h"

extern const struct session_ops serve_sessions;
extern const struct loop_ops serve_loops; /* net_env.arg: a struct serve_env */

#endif

/*
 * conn.h: one connection to the broker. Only this pair of files sends and receives.
 *
 *   conn_open ──► conn_send ──► conn_receive ──► conn_close
 *                     ▲              │ once per reply; while subscribed, once per message
 *                     └──────────────┘
 *
 * This waits with poll() and not in hiredis, because hiredis restarts a read after a signal, so that ^C would not
 * end a long WAIT.
 *
 * Invariant: after EXIT_NO_BROKER or EXIT_INTERRUPTED the connection is closed, so that a late reply
 * is never taken for the reply to the next command.
 */
#ifndef HALFMQ_CLIENTS_CLI_CONN_H
#define HALFMQ_CLIENTS_CLI_CONN_H

#include <hiredis/hiredis.h>
#include <signal.h>

#include "clients/c/wire/net.h"
#include "clients/cli/options.h"
#include "protocol/base/slice.h"
#include "protocol/status.h"

struct cli_conn {
    const struct cli_options *options;
    redisContext *redis; /* NULL: not connected */
    struct net_link link; /* TLS (secure.h); fd -1: plain */
};

/* Set by the handler that conn_catch_interrupt installs. Clear it after acting on it. */
extern volatile sig_atomic_t conn_interrupted;
void conn_catch_interrupt(void);

/* Connects; failures are explained on standard error. */
enum exit_code conn_open(struct cli_conn *c, const struct cli_options *o) MUST_CHECK;
void conn_close(struct cli_conn *c);

/* Sends one command; connects again first where the connection was lost. */
enum exit_code conn_send(struct cli_conn *c, const struct slice *words, size_t n) MUST_CHECK;

/* The next reply, for the caller to free with freeReplyObject. timeout_ms below 0: no deadline. */
enum exit_code conn_receive(struct cli_conn *c, int64_t timeout_ms, redisReply **ret_reply) MUST_CHECK;

/* Sends and receives, with a deadline of options->timeout_ms after the longest WAIT among the words. */
enum exit_code conn_ask(struct cli_conn *c, const struct slice *words, size_t n,
                        redisReply **ret_reply) MUST_CHECK;

/* A reply that has arrived already. EXIT_DONE with *ret_reply NULL: there is none yet. readable: reads the socket
 * once before. */
enum exit_code conn_poll(struct cli_conn *c, bool readable, redisReply **ret_reply) MUST_CHECK;

#endif

/*
 * conn.h: one connection to the broker. The only file pair here that moves bytes.
 *
 *   conn_open ──► conn_send ──► conn_receive ──► conn_close
 *                     ▲              │ once per reply; while subscribed, once per message
 *                     └──────────────┘
 *
 * Waiting is done with poll() instead of in hiredis, because hiredis begins a read again after a
 * signal and so would keep ^C from ending a long WAIT.
 *
 * Invariant: after EXIT_NO_BROKER or EXIT_INTERRUPTED the connection is closed, so that a late reply
 * can never be taken for the answer to the next command.
 */
#ifndef HALFMQ_CLIENTS_CLI_CONN_H
#define HALFMQ_CLIENTS_CLI_CONN_H

#include <hiredis/hiredis.h>
#include <signal.h>

#include "clients/cli/options.h"
#include "protocol/base/slice.h"
#include "protocol/status.h"

struct cli_conn {
    const struct cli_options *options;
    redisContext *redis; /* NULL: not connected */
};

/* Set by the handler that conn_catch_interrupt installs; the one who acts on it clears it. */
extern volatile sig_atomic_t conn_interrupted;
void conn_catch_interrupt(void);

/* Connects; failures are explained on standard error. */
enum exit_code conn_open(struct cli_conn *c, const struct cli_options *o) MUST_CHECK;
void conn_close(struct cli_conn *c);

/* Sends one command; connects again first where the connection was lost. */
enum exit_code conn_send(struct cli_conn *c, const struct slice *words, size_t n) MUST_CHECK;

/* The next reply, for the caller to free with freeReplyObject. timeout_ms < 0: waits for ever. */
enum exit_code conn_receive(struct cli_conn *c, int64_t timeout_ms, redisReply **ret_reply) MUST_CHECK;

/* Both, with a deadline of options->timeout_ms after the longest WAIT among the words. */
enum exit_code conn_ask(struct cli_conn *c, const struct slice *words, size_t n,
                        redisReply **ret_reply) MUST_CHECK;

/* A reply that has already arrived. EXIT_DONE with *ret_reply NULL: there is none yet. Reads the
 * socket once when it is said to be readable. */
enum exit_code conn_poll(struct cli_conn *c, bool readable, redisReply **ret_reply) MUST_CHECK;

#endif

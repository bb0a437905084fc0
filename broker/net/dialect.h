/*
 * dialect.h: what conn.c asks of a dialect: take whole requests out of bytes, and speak an answer.
 *
 *   conn_resp.c   RESP2, RESP3, inline         conn_rpc.c   MessagePack-RPC
 *
 * To add a dialect: a value in enum dialect, its first bytes in conn.c's sniff, a file with these.
 */
#ifndef HALFMQ_BROKER_DIALECT_H
#define HALFMQ_BROKER_DIALECT_H

#include "broker/net/conn.h"

/* Parses and dispatches as long as conn_ready; returns how many bytes may be dropped. Sets stalled
 * where whole requests may be left. */
size_t resp_parse(struct conn *c, struct slice input);
size_t rpc_parse(struct conn *c, struct slice input);

void resp_answer(struct conn *c, struct slice tokens);
void rpc_answer(struct conn *c, struct request rq, struct slice tokens);

#endif

/*
 * local.h: LOCAL commands: those that are done on the spot, without the journal.
 *
 *   local_conn.c     PING ECHO HELLO AUTH QUIT RESET SELECT SUBSCRIBE UNSUBSCRIBE CHECKS SERVE
 *   local_broker.c   INFO CONFIG SHUTDOWN       local_backup.c    BACKUP
 *   local_client.c   CLIENT         local_command.c   COMMAND         local_help.c   HELP
 *   local_stream.c   STREAM GROUP, QUEUE, CREDIT, CLOSE
 *   local_multi.c    MULTI EXEC DISCARD WATCH
 *
 * They run only when nothing is in flight on a text connection, so they may reply at once. To add
 * one: a LOCAL line in command.def and a function local_<ID> here; the table does not link without
 * it.
 */
#ifndef HALFMQ_BROKER_LOCAL_H
#define HALFMQ_BROKER_LOCAL_H

#include "broker/net/conn.h"

void local_run(struct conn *c, const struct command *cmd, struct request rq);

/* local_PING and so on, one for each LOCAL line. Each replies exactly once (SUBSCRIBE and
 * UNSUBSCRIBE: once a channel). */
#define LOCAL_FOR_LOCAL(id) \
    void local_##id(struct conn *c, const struct command *cmd, struct request rq);
#define LOCAL_FOR_QUERY(id)
#define LOCAL_FOR_WRITE(id)
#define LOCAL_FOR_LATER(id)
#define LOCAL_FOR_INNER(id)
#define COMMAND(id, words, kind, category, names, touches, min, max, rest, options, later, summary) \
    LOCAL_FOR_##kind(id)
#include "protocol/command/command.def"
#undef COMMAND
#undef LOCAL_FOR_LOCAL

#endif

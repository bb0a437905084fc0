/* multi.c: queues commands, and refuses those that cannot be queued (multi.h). */
#include "broker/serve/multi/multi.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/serve/session.h"
#include "protocol/base/reply.h"

#define SMALL_COMMANDS 32  /* whose replies are short, unless they read */
#define LIGHT_MESSAGES 1000 /* that the POPs of an EXEC may lease in a light turn */

static enum multi_state multi_state_of(struct conn *c)
{
    return (enum multi_state)session_of(c)->multi_state;
}

void multi_charge(struct multi *m, size_t bytes)
{
    conn_keep(m->conn, bytes);
    conn_keep_no_more(m->conn, m->kept);
    m->kept = bytes;
}

void multi_free(struct multi *m)
{
    struct conn *c = m->conn;
    for (struct entry *e; (e = entry_pop(&m->queue));)
        entry_free(e);
    multi_charge(m, 0);
    conn_need(c, CONN_QUEUES, false);
    session_of(c)->multi = NULL;
    session_of(c)->multi_state = MULTI_NONE;
    free(m);
}

void multi_reset(struct conn *c)
{
    if (session_of(c)->multi)
        multi_free(session_of(c)->multi);
    session_of(c)->multi_state = MULTI_NONE;
}

/* ---- what was refused ---- */

static void multi_abort(struct conn *c)
{
    if (multi_state_of(c) != MULTI_OPEN)
        return;
    multi_reset(c);
    session_of(c)->multi_state = MULTI_ABORTED;
}

void multi_refused(struct conn *c, struct slice word)
{
    multi_abort(c);
    if (multi_state_of(c) == MULTI_NONE && slice_equal_nocase(word, SLICE_LIT("MULTI")))
        session_of(c)->multi_state = MULTI_REFUSED;
}

static void multi_refuse(struct conn *c, struct request rq, enum status s, const char *text)
{
    multi_abort(c);
    conn_refuse(c, rq, s, text);
}

/* ---- what may be queued ---- */

bool multi_passes(const struct command *cmd)
{
    switch (cmd->info->id) {
    case CMD_EXEC:
    case CMD_DISCARD:
    case CMD_RESET:
    case CMD_QUIT: return true;
    default: return false;
    }
}

static bool multi_may_queue(const struct command *cmd)
{
    switch (cmd->info->id) {
    case CMD_HELLO:
    case CMD_AUTH:
    case CMD_SUBSCRIBE:
    case CMD_UNSUBSCRIBE:
    case CMD_CHECKS_SERVE:
    case CMD_CHECKS_UNSERVE:
    case CMD_STREAM_GROUP:
    case CMD_STREAM_QUEUE:
    case CMD_STREAM_CREDIT:
    case CMD_STREAM_CLOSE:
    case CMD_ACL_SETUSER:
    case CMD_SHUTDOWN:
    case CMD_BACKUP:
    case CMD_BACKUP_LIST:
    case CMD_BACKUP_DELETE:
    case CMD_MULTI:
    case CMD_WATCH: return false;
    case CMD_CLIENT: return !slice_equal_nocase(cmd->rest[0], SLICE_LIT("LIST"));
    default: return true;
    }
}

static void multi_refuse_command(struct conn *c, const struct command *cmd, struct request rq)
{
    char text[160];
    if (cmd->info->id == CMD_MULTI)
        snprintf(text, sizeof text, "MULTI cannot be nested: write EXEC or DISCARD first");
    else
        snprintf(text, sizeof text, "%s%s cannot be done between MULTI and EXEC: nothing of this MULTI will be done",
                 cmd->info->words, cmd->info->id == CMD_CLIENT ? " LIST" : "");
    multi_refuse(c, rq, ST_ERR, text);
}

/* True: the command is more than may be queued, and was refused. */
static bool multi_refuse_more(struct multi *m, size_t bytes, struct request rq)
{
    struct conn *c = m->conn;
    char text[160];
    if (m->queue.n >= MULTI_COMMANDS_MAX) {
        snprintf(text, sizeof text, "a MULTI takes at most %d commands: nothing of it will be done", MULTI_COMMANDS_MAX);
        multi_refuse(c, rq, ST_LIMIT, text);
        return true;
    }
    if (m->bytes + bytes > (size_t)MULTI_BYTES_MAX) {
        snprintf(text, sizeof text, "a MULTI takes at most %ld bytes: nothing of it will be done", MULTI_BYTES_MAX);
        multi_refuse(c, rq, ST_TOOBIG, text);
        return true;
    }
    bool is_short = conn_memory_is_short(c);
    if (is_short && (account_is_far_over(&c->loop->shared->account) || m->kept + bytes > MULTI_SHORT_BYTES)) {
        multi_refuse(c, rq, ST_BUSY, "connections hold as much memory as they may: try again later");
        return true;
    }
    return false;
}

/* May the command take so long that it must not hold up the small ones of others? Those that do what they have brought,
 * and little more, do not. */
static bool multi_is_light(const struct command *cmd)
{
    switch (cmd->info->id) {
    case CMD_SEND:
    case CMD_MSEND:
    case CMD_PRODUCE:
    case CMD_HALF:
    case CMD_ROLLBACK:
    case CMD_UNKNOWN:
    case CMD_TXN_EXTEND:
    case CMD_ACK:
    case CMD_NACK:
    case CMD_EXTEND:
    case CMD_REJECT:
    case CMD_DELAYED_CANCEL: return true;
    default: return cmd->info->kind != KIND_WRITE;
    }
}

static void multi_note(struct multi *m, const struct command *cmd)
{
    enum command_kind kind = cmd->info->kind;
    m->n_writes += kind == KIND_WRITE;
    m->n_queries += kind == KIND_QUERY;
    if (cmd->info->id == CMD_POP)
        m->messages += (size_t)command_number(cmd, OPT_ID_COUNT, 1);
    m->slow = m->slow || m->messages > LIGHT_MESSAGES || !(multi_is_light(cmd) || cmd->info->id == CMD_POP);
}

/* False: it was refused. */
static bool multi_add(struct multi *m, const struct command *cmd, struct request rq)
{
    struct conn *c = m->conn;
    size_t bytes = command_clone_size(cmd);
    if (multi_refuse_more(m, bytes, rq))
        return false;
    struct entry *e = entry_new(&c->loop->entries, cmd);
    if (!e) {
        multi_refuse(c, rq, ST_BUSY, NULL);
        return false;
    }
    entry_push(&m->queue, e);
    m->bytes += bytes;
    multi_note(m, cmd);
    multi_charge(m, sizeof *m + m->queue.bytes);
    return true;
}

void multi_queue(struct conn *c, const struct command *cmd, struct request rq)
{
    if (multi_state_of(c) == MULTI_REFUSED) {
        conn_refuse(c, rq, ST_ERR, "MULTI was refused: nothing is done before EXEC or DISCARD");
        return;
    }
    if (!multi_may_queue(cmd)) {
        multi_refuse_command(c, cmd, rq);
        return;
    }
    if (multi_state_of(c) == MULTI_OPEN && !multi_add(session_of(c)->multi, cmd, rq))
        return;
    struct buf *r = loop_reply(c->loop);
    reply_simple(r, "QUEUED");
    conn_answer(c, rq, buf_slice(r));
}

/* ---- MULTI, DISCARD, WATCH ---- */

static void multi_answer_ok(struct conn *c, struct request rq)
{
    struct buf *r = loop_reply(c->loop);
    reply_ok(r);
    conn_answer(c, rq, buf_slice(r));
}

static void multi_refuse_to_begin(struct conn *c, struct request rq, enum status s, const char *text)
{
    session_of(c)->multi_state = MULTI_REFUSED;
    conn_refuse(c, rq, s, text);
}

void multi_begin(struct conn *c, struct request rq)
{
    assert(multi_state_of(c) == MULTI_NONE);
    if (!conn_is_text(c)) {
        multi_refuse_to_begin(c, rq, ST_ERR,
                              "MULTI is for text connections: by MessagePack-RPC use msend, produce or a transaction "
                              "(half, commit); nothing is done before exec or discard");
        return;
    }
    bool over = conn_memory_is_short(c) && account_is_far_over(&c->loop->shared->account);
    struct multi *m = over ? NULL : calloc(1, sizeof *m);
    if (!m) {
        multi_refuse_to_begin(c, rq, ST_BUSY, "no memory for a MULTI now: try again after EXEC or DISCARD");
        return;
    }
    m->conn = c;
    session_of(c)->multi = m;
    session_of(c)->multi_state = MULTI_OPEN;
    conn_need(c, CONN_QUEUES, true);
    multi_charge(m, sizeof *m);
    multi_answer_ok(c, rq);
}

void multi_discard(struct conn *c, struct request rq)
{
    if (multi_state_of(c) == MULTI_NONE) {
        conn_refuse(c, rq, ST_ERR, "DISCARD without MULTI");
        return;
    }
    multi_reset(c);
    multi_answer_ok(c, rq);
}

void multi_watch(struct conn *c, struct request rq)
{
    conn_refuse(c, rq, ST_ERR, "WATCH is not supported: there are no keys whose change could stop an EXEC");
}

bool multi_is_small(struct conn *c)
{
    const struct multi *m = session_of(c)->multi;
    return !m || (m->n_queries == 0 && m->messages == 0 && !m->slow && m->n_writes == m->queue.n &&
                  m->queue.n <= SMALL_COMMANDS);
}

/* conn_slice.c: counts what commands take, and lets connections that used up their slice wait (conn_slice.h). */
#include "broker/net/conn_slice.h"

#include "broker/base/clock.h"
#include "broker/net/conn_room.h"

enum duration { QUICK, SLOW, LONG };

static enum duration conn_duration(const struct command *cmd)
{
    switch (cmd->info->id) {
    case CMD_PING:
    case CMD_ECHO:
    case CMD_STREAM_CREDIT: return QUICK;
    case CMD_FIND:
    case CMD_LAG:
    case CMD_TOPIC_LIST:
    case CMD_GROUP_LIST:
    case CMD_PGROUP_LIST:
    case CMD_TXN_LIST:
    case CMD_TXN_MESSAGES:
    case CMD_DLQ_LIST:
    case CMD_GROUP_LEASES:
    case CMD_COMMAND:
    case CMD_CLIENT: return LONG;
    default: return cmd->info->kind == KIND_WRITE ? QUICK : SLOW;
    }
}

static void conn_await_slice(struct conn *c, bool is_long)
{
    if (c->stops & (STOP_SLICE | STOP_WORK | STOP_TURN)) /* it waits already, in another list */
        return;
    c->stops |= STOP_SLICE;
    c->long_slice = is_long;
    conn_queue_add(&c->loop->sliced[is_long], c);
}

/* A connection that has sent but one such command goes on, whatever the others did. */
static void conn_spend_as(struct conn *c, int64_t ns, bool is_long)
{
    struct loop *l = c->loop;
    l->visit_ns += ns;
    l->turn_ns += ns;
    l->visit_n++;
    if (l->visit_ns >= SLICE_NS || (l->turn_ns >= LOOP_SLICES_NS && l->visit_n > 1))
        conn_await_slice(c, is_long);
}

void conn_spend(struct conn *c, int64_t ns)
{
    conn_spend_as(c, ns, true);
}

static enum verdict conn_run_timed(struct conn *c, const struct command *cmd, struct request rq, bool is_long)
{
    int64_t begin = clock_mono_ns();
    enum verdict v = c->loop->env.sessions->command(c, cmd, rq);
    conn_spend_as(c, clock_mono_ns() - begin, is_long);
    return v;
}

bool conn_run(struct conn *c, const struct command *cmd, struct request rq)
{
    enum duration takes = conn_duration(cmd);
    enum verdict v = STALL_SLICE;
    if (takes == QUICK)
        v = c->loop->env.sessions->command(c, cmd, rq);
    else if (takes == SLOW || c->loop->turn_ns < LOOP_SLICES_NS)
        v = conn_run_timed(c, cmd, rq, takes == LONG);
    if (v == GO_ON)
        return true;
    c->stalled = true;
    if (v == STALL)
        c->stops |= STOP_ORDER;
    else if (v == STALL_MEMORY)
        conn_await_room(c, STOP_MEMORY);
    else if (v == STALL_WORK)
        conn_await_work(c);
    else
        conn_await_slice(c, true);
    return false;
}

void conn_leave_slices(struct conn *c)
{
    if (c->stops & STOP_SLICE)
        conn_queue_remove(&c->loop->sliced[c->long_slice], c);
    c->stops &= ~(unsigned)STOP_SLICE;
}

void conn_refuse_unknown(struct conn *c, struct request rq, enum status s, const char *text, struct slice word)
{
    const struct session_ops *sessions = c->loop->env.sessions;
    if (sessions->hides(c, word))
        conn_refuse(c, rq, ST_NOAUTH, "Authentication required.");
    else
        conn_refuse(c, rq, s, *text ? text : NULL);
    sessions->refused(c, word);
}

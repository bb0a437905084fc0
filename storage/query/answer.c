/*
 * answer.c: query_run, and the table of QUERY commands. If command.def has such a command and no ANSWER_ line is here,
 * this does not compile.
 */
#include "storage/query/handlers.h"
#include "storage/query/base/steps.h"

#define QUERY_LOCAL(id)
#define QUERY_WRITE(id)
#define QUERY_LATER(id)
#define QUERY_INNER(id)
#define QUERY_QUERY(id) [CMD_##id] = ANSWER_##id,

#define ANSWER_READ query_read
#define ANSWER_GET query_get
#define ANSWER_FIND query_find
#define ANSWER_DELAYED_LIST query_delayed_list
#define ANSWER_TOPIC_INFO query_topic_info
#define ANSWER_TOPIC_LIST query_topic_list
#define ANSWER_GROUP_INFO query_group_info
#define ANSWER_GROUP_LIST query_group_list
#define ANSWER_LAG query_lag
#define ANSWER_GROUP_LEASES query_group_leases
#define ANSWER_DLQ_LIST query_dlq_list
#define ANSWER_TXN_INFO query_txn_info
#define ANSWER_TXN_MESSAGES query_txn_messages
#define ANSWER_TXN_LIST query_txn_list
#define ANSWER_PGROUP_INFO query_pgroup_info
#define ANSWER_PGROUP_LIST query_pgroup_list

static query_fn *const query_table[COMMAND_COUNT] = {
#define COMMAND(id, words, kind, category, names, touches, min, max, rest, options, later, summary) QUERY_##kind(id)
#include "protocol/command/command.def"
#undef COMMAND
};

/* Runs the handler, again where it was not finished. */
static enum query_step answer_step(struct view *v, const struct command *cmd, struct buf *reply,
                                   struct query_hint *hint)
{
    query_fn *fn = query_table[cmd->info->id];
    assert(fn);
    v->step = QUERY_DONE;
    v->budget = STEP_ROWS;
    fn(v, cmd, reply, hint);
    return v->step;
}

enum query_step query_run(struct view *v, const struct policy *policy, int64_t now_ms, const struct command *cmd,
                          struct buf *reply, struct query_hint *ret_hint)
{
    v->policy = *policy; /* the caller's may end before the last step */
    v->now_ms = now_ms;
    v->user = cmd->user;
    *ret_hint = (struct query_hint){0};
    steps_begin(v);
    return answer_step(v, cmd, reply, ret_hint);
}

enum query_step query_go_on(struct view *v, const struct command *cmd, struct buf *reply, struct query_hint *ret_hint)
{
    *ret_hint = (struct query_hint){0};
    v->steps->taken = v->steps->taken || reply->len < v->steps->emitted;
    return answer_step(v, cmd, reply, ret_hint);
}

void query_all(struct view *v, const struct policy *policy, int64_t now_ms, const struct command *cmd,
               struct buf *reply, struct query_hint *ret_hint)
{
    enum query_step step = query_run(v, policy, now_ms, cmd, reply, ret_hint);
    while (step == QUERY_MORE)
        step = query_go_on(v, cmd, reply, ret_hint);
}

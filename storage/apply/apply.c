/*
 * apply.c: the table of WRITE and INNER commands (apply.h). If command.def has such a command and no HANDLE_ line is
 * here, this does not compile.
 */
#include "storage/apply/apply.h"

#include "storage/apply/handlers.h"
#include "storage/model/enqueue.h"

/* Handlers by id; KIND_x decides whether the line needs one. */
#define HANDLER_LOCAL(id)
#define HANDLER_QUERY(id)
#define HANDLER_LATER(id)
#define HANDLER_WRITE(id) [CMD_##id] = HANDLE_##id,
#define HANDLER_INNER(id) [CMD_##id] = HANDLE_##id,

#define HANDLE_SEND apply_send
#define HANDLE_MSEND apply_msend
#define HANDLE_PRODUCE apply_produce
#define HANDLE_DELAYED_CANCEL apply_delayed_cancel
#define HANDLE_HALF apply_half
#define HANDLE_COMMIT apply_commit
#define HANDLE_ROLLBACK apply_rollback
#define HANDLE_UNKNOWN apply_unknown
#define HANDLE_TXN_EXTEND apply_txn_extend
#define HANDLE_CHECKS apply_checks
#define HANDLE_UNASK apply_unask
#define HANDLE_PGROUP_SET apply_pgroup_set
#define HANDLE_PGROUP_DELETE apply_pgroup_delete
#define HANDLE_POP apply_pop
#define HANDLE_TAKE apply_pop
#define HANDLE_ADVANCE apply_advance
#define HANDLE_ACK apply_ack
#define HANDLE_NACK apply_nack
#define HANDLE_EXTEND apply_extend
#define HANDLE_REJECT apply_reject
#define HANDLE_RELEASE apply_release
#define HANDLE_SKIP apply_skip
#define HANDLE_GROUP_CREATE apply_group_create
#define HANDLE_GROUP_DELETE apply_group_delete
#define HANDLE_GROUP_SET apply_group_set
#define HANDLE_GROUP_PAUSE apply_group_pause
#define HANDLE_GROUP_RESUME apply_group_resume
#define HANDLE_GROUP_SEEK apply_group_seek
#define HANDLE_TOPIC_CREATE apply_topic_create
#define HANDLE_TOPIC_SET apply_topic_set
#define HANDLE_TOPIC_PURGE apply_topic_purge
#define HANDLE_TOPIC_DELETE apply_topic_delete
#define HANDLE_DLQ_REDRIVE apply_dlq_redrive
#define HANDLE_DLQ_PURGE apply_dlq_purge
#define HANDLE_ACL_SETUSER apply_acl_setuser
#define HANDLE_ACL_DELUSER apply_acl_deluser
#define HANDLE_TICK apply_tick

static apply_fn *const apply_table[COMMAND_COUNT] = {
#define COMMAND(id, words, kind, category, names, touches, min, max, rest, options, later, summary) HANDLER_##kind(id)
#include "protocol/command/command.def"
#undef COMMAND
};

void apply_command(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out)
{
    apply_fn *fn = apply_table[cmd->info->id];
    assert(fn);
    fn(st, stamp, cmd, out);
    assert(out->reply.len > 0 || out->n_grants > 0 || out->reply.failed || out->too_long);
}

enum status apply_ahead(struct state *st, const struct stamp *stamp, const struct command *cmd, size_t *large)
{
    return cmd->info->id == CMD_COMMIT ? commit_ahead(st, stamp, cmd, large) : ST_OK;
}

void apply_forget_ahead(struct state *st)
{
    commit_forget(st);
}

void apply_need(struct state *st, const struct stamp *stamp, const struct command *cmd, struct need *need)
{
    if (cmd->info->id == CMD_COMMIT)
        commit_need(st, stamp, cmd, need);
    else
        need_add_command(need, cmd);
}

bool apply_repeated(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out)
{
    switch (cmd->info->id) {
    case CMD_SEND: return enqueue_repeated(st, stamp, cmd, cmd->pos[0], out);
    case CMD_HALF: return enqueue_repeated(st, stamp, cmd, cmd->pos[1], out);
    case CMD_PRODUCE: return produce_repeated(st, stamp, cmd, out);
    default: return false;
    }
}

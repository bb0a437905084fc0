/* manage.c: TOPIC CREATE, PURGE and DELETE, GROUP CREATE and DELETE. */
#include "storage/apply/group_options.h"
#include "storage/apply/handlers.h"
#include "storage/group/group.h"
#include "storage/model/drop.h"
#include "storage/group/gone.h"
#include "storage/group/dead.h"
#include "storage/group/retry.h"

static void manage_refuse(struct outcome *out, enum status s, const char *what, struct slice name)
{
    char text[160];
    text_quote(name, 135, text, sizeof(text));
    if (s == ST_EXISTS)
        reply_error(&out->reply, s, "%s '%s' exists already", what, text);
    else if (s == ST_GONE)
        reply_error(&out->reply, what[0] == 't' ? ST_NOTOPIC : ST_NOGROUP, "no %s '%s'", what, text);
    else if (s == ST_LIMIT)
        reply_error(&out->reply, s, "cannot create %s '%s': the limit is reached", what, text);
    else
        core_fail(out, s, what);
}

void apply_topic_create(struct state *st, const struct stamp *stamp, const struct command *cmd,
                        struct outcome *out)
{
    struct topic *t = NULL;
    struct topic_settings set = {
        .n_queues = (uint32_t)command_number(cmd, OPT_ID_QUEUES, QUEUES_DEFAULT),
        .retention_ms = command_number(cmd, OPT_ID_RETENTION, 0),
        .max_bytes = (uint64_t)command_number(cmd, OPT_ID_MAXBYTES, 0)};
    const struct option *compress = command_option(cmd, OPT_ID_COMPRESS);
    bool known = !compress || compress_find(compress->v, &set.compress);
    assert(known); /* command parsing has checked it */
    enum status s = topic_create(st, stamp->now_ms, cmd->pos[0], &set, &t);
    if (s == ST_OK) {
        core_news(st, &t->news, 1); /* POPs may wait for it */
        reply_ok(&out->reply);
    } else if (s == ST_BAD)
        reply_error(&out->reply, ST_ERR,
                    "this broker's RocksDB was built without %s: use another COMPRESS, or none",
                    compress_word(set.compress));
    else
        manage_refuse(out, s, "topic", cmd->pos[0]);
}

void apply_topic_purge(struct state *st, const struct stamp *stamp, const struct command *cmd,
                       struct outcome *out)
{
    (void)stamp;
    struct topic *t = NULL;
    enum status s = topic_get(st, cmd->pos[0], &t);
    if (s != ST_OK) {
        manage_refuse(out, s, "topic", cmd->pos[0]);
        return;
    }
    drop_messages(st, t);
    reply_ok(&out->reply);
}

void apply_topic_delete(struct state *st, const struct stamp *stamp, const struct command *cmd,
                        struct outcome *out)
{
    (void)stamp;
    struct topic *t = NULL;
    enum status s = topic_get_to_delete(st, cmd->pos[0], &t);
    if (s != ST_OK) {
        manage_refuse(out, s, "topic", cmd->pos[0]);
        return;
    }
    retry_gone(st, cmd->pos[0]);
    gone_topic(st, t);
    reply_ok(&out->reply);
}

void apply_group_create(struct state *st, const struct stamp *stamp, const struct command *cmd,
                        struct outcome *out)
{
    struct topic *t = NULL;
    struct gt *gt = NULL;
    enum status s = topic_get(st, cmd->pos[1], &t);
    if (s != ST_OK) {
        manage_refuse(out, s, "topic", cmd->pos[1]);
        return;
    }
    s = group_get(st, cmd->pos[0], cmd->pos[1], &gt);
    if (s == ST_OK)
        s = ST_EXISTS;
    struct group_settings set;
    group_settings_default(&set);
    group_options_read(cmd, &set);
    if (s == ST_GONE)
        s = group_create(st, stamp->now_ms, cmd->pos[0], t, &set, &gt);
    if (s == ST_OK && set.filter_kind != FILTER_NONE)
        core_news(st, &gt->news, NEWS_ALL); /* it may be far behind: the broker moves it on (query/advance.c) */
    if (s == ST_OK)
        reply_ok(&out->reply);
    else
        manage_refuse(out, s, "group", cmd->pos[0]);
}

void apply_group_delete(struct state *st, const struct stamp *stamp, const struct command *cmd,
                        struct outcome *out)
{
    (void)stamp;
    uint8_t hold[SYSTEM_NAME_BYTES_MAX];
    struct topic *dlq = NULL, *retry = NULL;
    enum status s = dead_find(st, cmd->pos[0], &dlq);
    if (s == ST_OK || s == ST_GONE)
        s = topic_get(st, retry_topic_name(cmd->pos[0], hold), &retry);
    if (s == ST_OK || s == ST_GONE)
        s = gone_group(st, cmd->pos[0]);
    if (s == ST_GONE && dlq) /* its topics were deleted, and with them its positions; its dead letters are left */
        s = ST_OK;
    if (s != ST_OK) {
        manage_refuse(out, s, "group", cmd->pos[0]);
        return;
    }
    if (dlq)
        gone_topic(st, dlq);
    if (retry)
        gone_topic(st, retry);
    reply_ok(&out->reply);
}

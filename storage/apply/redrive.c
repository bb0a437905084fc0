/*
 * redrive.c: DLQ REDRIVE and DLQ PURGE: what becomes of a group's dead letters. (DLQ LIST is in query/query_dlq.c.)
 *
 *   REDRIVE   letter ─► read ─► appended to %RETRY%<group>, under a new id, with its origin ─► removed, with its KEY rows
 *
 * All of it is in the commit group of the command, so that a crash neither loses nor doubles a letter. A command moves
 * REDRIVE_MAX letters or REDRIVE_BYTES at most, and one in any case; its reply says how many, so whoever wants more
 * sends it again. Letters that are damaged stay where they are, and do not count. One that the open commit group has made
 * cannot be read where its record is closed already: then the command belongs into the next group (out->too_long), and is
 * BUSY where it cannot wait for that, in an EXEC.
 */
#include "storage/apply/handlers.h"
#include "storage/group/dead.h"
#include "storage/group/retry.h"
#include "storage/model/drop.h"
#include "storage/model/log.h"
#include "storage/model/removal.h"
#include "storage/model/tail.h"

#define REDRIVE_MAX 1000
#define REDRIVE_BYTES MIB(4)
#define REDRIVE_LOOKED_MAX 4000 /* letters that one command looks at, damaged ones too */

struct redrive {
    struct state *st;
    const struct stamp *stamp;
    struct slice group;
    struct topic *dlq;
    struct gt *retry; /* NULL: nothing was moved yet */
    struct removal removal;
    uint32_t moved, looked;
    size_t bytes;
    enum status status; /* why it ended early */
};

static bool redrive_goes_on(const struct redrive *d, uint32_t most)
{
    return d->status == ST_OK && d->moved < most && d->bytes < (size_t)REDRIVE_BYTES &&
           d->looked < REDRIVE_LOOKED_MAX;
}

/* A letter becomes a message again: nobody has given it up yet. */
static void redrive_fill(struct message *m)
{
    m->fields &= ~(uint32_t)(MSG_GROUP | MSG_REASON | MSG_ATTEMPTS | MSG_TTL);
}

/* Deletes the KEY rows of a letter. */
static void redrive_forget_keys(struct redrive *d, const struct message *m, uint64_t offset, int64_t stored_ms)
{
    for (uint32_t i = 0; i < m->n_keys; i++) {
        struct key key = key_index(d->dlq->id, text_hash(m->keys[i]), stored_ms, 0, offset);
        core_del(d->st, &key);
    }
}

/* Moves what was read, after nothing can refuse it any more. */
static enum status redrive_put(struct redrive *d, struct message *m, uint64_t offset, int64_t stored_ms)
{
    uint64_t at = 0;
    redrive_fill(m);
    redrive_forget_keys(d, m, offset, stored_ms);
    enum status s = tail_append(d->st, d->stamp->now_ms, d->retry->topic, 0, m, &at);
    d->st->sick = d->st->sick || s != ST_OK;
    d->moved++;
    d->bytes += m->body.len + m->props.len;
    return s;
}

/* Moves the letter at offset. One that is not there, or cannot be read, is passed. */
static void redrive_one(struct redrive *d, uint64_t offset)
{
    struct record_info info;
    struct message m;
    d->looked++;
    enum status s = log_read(d->st, d->dlq, 0, offset, &d->st->props, &m);
    if (s == ST_OK)
        s = log_locate(d->st, d->dlq, 0, offset, &info);
    if (s == ST_GONE || s == ST_DAMAGED)
        return;
    if (s == ST_OK && !d->retry) {
        s = retry_need(d->st, d->stamp, d->group, m.origin, &d->retry);
        if (s == ST_OK)
            retry_trim(d->st, d->retry);
    }
    if (s == ST_OK)
        s = removal_take(&d->removal, offset);
    if (s == ST_OK)
        s = redrive_put(d, &m, offset, info.stored_ms);
    d->status = s;
}

static void redrive_first(struct redrive *d, uint32_t count)
{
    for (uint64_t at = 0; redrive_goes_on(d, count); at++) {
        enum status s = removal_next(&d->removal, &at);
        if (s == ST_GONE || s == ST_BUSY)
            return;
        if (s == ST_OK)
            redrive_one(d, at);
        else
            d->status = s;
    }
}

/* An id that names no letter any more, or the same one twice, counts once. */
static void redrive_named(struct redrive *d, const struct command *cmd)
{
    for (uint32_t i = 0; i < cmd->n_rest && redrive_goes_on(d, REDRIVE_MAX); i++) {
        struct message_id id;
        bool parsed = text_id(cmd->rest[i], &id);
        assert(parsed);
        uint64_t at = id.offset;
        enum status s = id.queue == 0 ? removal_next(&d->removal, &at) : ST_GONE;
        if (s == ST_OK && at == id.offset)
            redrive_one(d, at);
        else if (s != ST_OK && s != ST_GONE && s != ST_BUSY)
            d->status = s;
    }
}

/* True where each id names a letter of this group; otherwise that is answered. */
static bool redrive_ids_ok(const struct command *cmd, struct outcome *out)
{
    char quoted[200];
    uint8_t hold[SYSTEM_NAME_BYTES_MAX];
    struct slice name = dead_topic_name(cmd->pos[0], hold);
    if (cmd->n_rest > REDRIVE_MAX) {
        reply_error(&out->reply, ST_LIMIT, "DLQ REDRIVE with %u ids: at most %d in one request", cmd->n_rest, REDRIVE_MAX);
        return false;
    }
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        struct message_id id;
        if (text_id(cmd->rest[i], &id) && slice_equal(id.topic, name))
            continue;
        text_quote(cmd->rest[i], 180, quoted, sizeof(quoted));
        reply_error(&out->reply, ST_ERR, "id '%s' is not of %.*s: take the ids of DLQ LIST", quoted, (int)name.len,
                    (const char *)name.data);
        return false;
    }
    return true;
}

static void redrive_no_group(struct outcome *out, struct slice group)
{
    char name[160];
    text_quote(group, 130, name, sizeof(name));
    reply_error(&out->reply, ST_NOGROUP, "no group '%s'", name);
}

/* Finds the group's dead letters. NULL: there are none, or it failed, and that is answered. */
static struct topic *redrive_letters(struct state *st, const struct command *cmd, struct outcome *out)
{
    struct topic *t = NULL;
    bool exists = true;
    enum status s = dead_find(st, cmd->pos[0], &t);
    if (s == ST_GONE)
        s = group_exists(st, cmd->pos[0], &exists);
    if (s != ST_OK)
        core_fail(out, s, cmd->info->words);
    else if (!exists)
        redrive_no_group(out, cmd->pos[0]);
    else if (!t)
        reply_int(&out->reply, 0);
    return s == ST_OK ? t : NULL;
}

static void redrive_end(struct redrive *d, struct outcome *out)
{
    struct state *st = d->st;
    removal_end(&d->removal); /* it may also rise over what was removed before */
    st->sick = st->sick || (d->status == ST_NOMEM && d->retry);
    if (d->moved > 0 || d->status == ST_OK)
        reply_int(&out->reply, d->moved);
    else if (d->status == ST_LIMIT)
        reply_error(&out->reply, ST_LIMIT, "cannot redrive: there are too many topics, or groups on topics");
    else
        core_fail(out, d->status, "DLQ REDRIVE");
    out->too_long = d->moved == 0 && d->status == ST_BUSY;
}

void apply_dlq_redrive(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out)
{
    struct redrive d = {.st = st, .stamp = stamp, .group = cmd->pos[0]};
    if (!redrive_ids_ok(cmd, out))
        return;
    d.dlq = redrive_letters(st, cmd, out);
    if (!d.dlq)
        return;
    if (st->spared && d.dlq->queues[0].end > d.dlq->queues[0].floor) {
        out->too_long = true;
        return;
    }
    int64_t count = command_number(cmd, OPT_ID_COUNT, REDRIVE_MAX);
    removal_begin(&d.removal, st, d.dlq, 0);
    if (cmd->n_rest)
        redrive_named(&d, cmd);
    else
        redrive_first(&d, count < REDRIVE_MAX ? (uint32_t)count : REDRIVE_MAX);
    redrive_end(&d, out);
}

void apply_dlq_purge(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out)
{
    (void)stamp;
    struct topic *t = redrive_letters(st, cmd, out);
    if (!t)
        return;
    const struct queue *q = &t->queues[0];
    uint64_t n = q->end - q->floor - t->removed;
    if (n > 0)
        drop_messages(st, t);
    reply_int(&out->reply, (int64_t)n);
}

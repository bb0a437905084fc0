/*
 * command_check.c: bounds and shapes of words, option by option and command by command.
 *
 *   option_check    one option: a number within bounds, a name, a text that is not too long
 *   command_check   the positional words by `shapes`, then rules about options that stand together
 *
 * Every refusal names the word, what was sent and what would have been taken.
 * To extend: a new option with bounds of its own gets a line in `bounds` or a case in check_text;
 * a new command gets a line in `shapes` (the unit test tells when one is missing).
 */
#include "protocol/command/command_check.h"

#include <inttypes.h>
#include <stdio.h>

#include "protocol/base/compress.h"
#include "protocol/base/position.h"
#include "protocol/base/text.h"
#include "protocol/base/url.h"
#include "protocol/command/command_table.h"
#include "protocol/filter/filter.h"
#include "protocol/filter/filter_kind.h"
#include "protocol/filter/filter_tags.h"

#define DURATION_HINT "a duration: write ms, or 250ms 10s 5m 2h 7d, at most 366d"

/* What is taken for numbers; durations without a line here take 0..DURATION_MS_MAX. */
struct bound {
    int64_t least, most;
};

static const struct bound bounds[OPTION_COUNT] = {
    [OPT_ID_QUEUE] = {0, QUEUES_MAX - 1},  [OPT_ID_PRIORITY] = {0, 9},
    [OPT_ID_LEASE] = {1, DURATION_MS_MAX}, [OPT_ID_ATTEMPTS] = {1, ATTEMPTS_MAX},
    [OPT_ID_QUEUES] = {1, QUEUES_MAX},     [OPT_ID_RATE] = {0, INT32_MAX},
    [OPT_ID_INFLIGHT] = {0, INT32_MAX},    [OPT_ID_MAXBYTES] = {0, INT64_MAX},
    [OPT_ID_CHECKMAX] = {1, ATTEMPTS_MAX}, [OPT_ID_CHECKEVERY] = {1, DURATION_MS_MAX},
    [OPT_ID_TIMEOUT] = {1, DURATION_MS_MAX},
};

static struct bound command_check_bound_of(const struct command *cmd, enum option_id id)
{
    if (id == OPT_ID_COUNT) {
        enum command_id in = cmd->info->id;
        if (in == CMD_DLQ_REDRIVE)
            return (struct bound){1, INT64_MAX};
        bool messages = in == CMD_POP || in == CMD_READ || in == CMD_CHECKS;
        return (struct bound){1, messages ? COUNT_MAX : LIST_COUNT_MAX};
    }
    if (bounds[id].most)
        return bounds[id];
    return (struct bound){0, option_type(id) == OPT_DUR ? DURATION_MS_MAX : INT64_MAX};
}

static enum status command_check_bad_number(struct bound b, const struct option *o, bool read, struct complaint c)
{
    const char *word = option_word(o->id);
    bool duration = option_type(o->id) == OPT_DUR;
    char quoted[QUOTED_SIZE];
    text_quote(o->v, QUOTED_BYTES, quoted, sizeof quoted);
    if (duration && !read)
        return complain(c, ST_ERR, "%s '%s' is not " DURATION_HINT, word, quoted);
    return complain(c, ST_ERR, "%s '%s' is not %s from %" PRId64 " to %" PRId64, word, quoted,
                    duration ? "a duration (ms)" : "a whole number", b.least, b.most);
}

static enum status check_number(const struct command *cmd, struct option *o, struct complaint c)
{
    struct bound b = command_check_bound_of(cmd, o->id);
    int64_t n = 0;
    bool duration = option_type(o->id) == OPT_DUR;
    bool read = duration ? text_duration(o->v, &n) : text_int(o->v, &n);
    if (!read || n < b.least || n > b.most)
        return command_check_bad_number(b, o, read, c);
    o->n = n;
    return ST_OK;
}

static enum status check_time(const struct command *cmd, struct option *o, struct complaint c)
{
    bool point = option_type(o->id) == OPT_POINT && cmd->info->id != CMD_FIND;
    if (point ? command_point(o->v, &o->n) : text_time(o->v, &o->n))
        return ST_OK;
    char quoted[QUOTED_SIZE];
    text_quote(o->v, QUOTED_BYTES, quoted, sizeof quoted);
    return complain(
        c, ST_ERR,
        "%s '%s' is not %sa time: write Unix milliseconds or RFC 3339, as 2026-01-31T12:00:00Z",
        option_word(o->id), quoted, point ? "earliest, latest or " : "");
}

static enum status check_name(const char *what, struct slice v, bool write, struct complaint c)
{
    if (text_name_ok(v, write))
        return ST_OK;
    char quoted[QUOTED_SIZE];
    text_quote(v, QUOTED_BYTES, quoted, sizeof quoted);
    if (text_name_ok(v, false))
        return complain(c, ST_BADNAME,
                        "%s '%s' may not contain '%%': such names are reserved for the broker", what,
                        quoted);
    return complain(c, ST_BADNAME, "%s '%s' is not a name: 1 to %d of A-Z a-z 0-9 . _ - %%",
                    what, quoted, NAME_BYTES_MAX);
}

/* 1..most bytes (0 is allowed where empty says so). */
static enum status check_bytes(const char *what, struct slice v, size_t most, bool empty,
                               struct complaint c)
{
    if (v.len > most)
        return complain(c, ST_TOOBIG, "%s of %zu bytes is too long: at most %zu", what, v.len,
                        most);
    if (v.len == 0 && !empty)
        return complain(c, ST_ERR, "%s '' is empty: 1 to %zu bytes", what, most);
    return ST_OK;
}

static enum status check_txid(const char *what, struct slice v, struct complaint c)
{
    uint64_t txid;
    if (text_txid(v, &txid))
        return ST_OK;
    char quoted[QUOTED_SIZE];
    text_quote(v, QUOTED_BYTES, quoted, sizeof quoted);
    if (text_uint(v, &txid)) /* a decimal, but one that is never issued */
        return complain(c, ST_NOTXN, "no transaction %s: this id was never issued", quoted);
    return complain(c, ST_ERR, "%s '%s' is not a transaction id", what, quoted);
}

static enum status check_backoff(struct slice v, struct complaint c)
{
    char quoted[QUOTED_SIZE];
    int steps = 0;
    for (size_t begin = 0, i = 0; i <= v.len; i++) {
        int64_t ms;
        if (i < v.len && v.data[i] != ',')
            continue;
        struct slice step = slice_of(i > begin ? v.data + begin : NULL, i - begin);
        text_quote(step, QUOTED_BYTES, quoted, sizeof quoted);
        if (!text_duration(step, &ms))
            return complain(
                c, ST_ERR, "BACKOFF: '%s' is not a duration: write them as 1s,5s,1m", quoted);
        if (++steps > BACKOFF_STEPS_MAX)
            return complain(c, ST_ERR,
                            "BACKOFF has more than %d steps: the last step repeats",
                            BACKOFF_STEPS_MAX);
        begin = i + 1;
    }
    return ST_OK;
}

/* An empty one is allowed: it removes the URL. */
static enum status check_url(struct slice v, struct complaint c)
{
    struct url url;
    char quoted[QUOTED_SIZE];
    if (v.len == 0 || (v.len <= URL_BYTES_MAX && url_parse(v, &url)))
        return ST_OK;
    if (v.len > URL_BYTES_MAX)
        return check_bytes("CHECKURL", v, URL_BYTES_MAX, true, c);
    text_quote(v, QUOTED_BYTES, quoted, sizeof quoted);
    return complain(c, ST_ERR, "CHECKURL '%s' is not a URL such as http://host:port/path%s", quoted,
                    v.len > 8 && slice_equal_nocase(slice_of(v.data, 8), SLICE_LIT("https://"))
                              ? ": https is not supported"
                              : "");
}

static enum status check_compress(struct slice v, struct complaint c)
{
    enum compress compress;
    char quoted[QUOTED_SIZE];
    if (compress_find(v, &compress))
        return ST_OK;
    text_quote(v, QUOTED_BYTES, quoted, sizeof quoted);
    return complain(c, ST_ERR, "COMPRESS '%s' is not none, lz4 or zstd", quoted);
}

static enum status check_text(const struct option *o, struct complaint c)
{
    const char *word = option_word(o->id);
    switch (o->id) {
    case OPT_ID_KEY:
    case OPT_ID_ORDER:
    case OPT_ID_DEDUP: return check_bytes(word, o->v, KEY_BYTES_MAX, false, c);
    case OPT_ID_REASON: return check_bytes(word, o->v, REASON_BYTES_MAX, true, c);
    case OPT_ID_PROP: return check_bytes("PROP's name", o->v, KEY_BYTES_MAX, false, c);
    case OPT_ID_BACKOFF: return check_backoff(o->v, c);
    case OPT_ID_CHECKURL: return check_url(o->v, c);
    case OPT_ID_SECRET: return check_bytes(word, o->v, SECRET_BYTES_MAX, true, c);
    case OPT_ID_TXN: return check_txid(word, o->v, c);
    case OPT_ID_COMPRESS: return check_compress(o->v, c);
    default: return ST_OK;
    }
}

/* What the kind of a FILTER takes. A map has "none" alone, or with any value. */
static enum status check_filter(struct option *o, struct complaint c)
{
    char quoted[QUOTED_SIZE];
    text_quote(o->v, QUOTED_BYTES, quoted, sizeof quoted);
    bool tag = slice_equal_nocase(o->v, SLICE_LIT("TAG")), where = slice_equal_nocase(o->v, SLICE_LIT("WHERE"));
    if (!tag && !where && !slice_equal_nocase(o->v, SLICE_LIT("NONE")))
        return complain(c, ST_ERR, "FILTER '%s' is none of TAG a||b, WHERE expression, NONE", quoted);
    o->n = tag ? FILTER_TAG : where ? FILTER_WHERE : FILTER_NONE;
    if (o->n == FILTER_NONE)
        o->v2 = slice_of(NULL, 0);
    enum status s = tag ? check_bytes("FILTER TAG", o->v2, FILTER_BYTES_MAX, true, c) : ST_OK;
    if (s == ST_OK && tag)
        s = filter_tags_check(o->v2, c);
    return where ? filter_check(o->v2, c) : s;
}

enum status option_check(const struct command *cmd, struct option *o, struct complaint c)
{
    switch (option_type(o->id)) {
    case OPT_INT:
    case OPT_UINT:
    case OPT_DUR: return check_number(cmd, o, c);
    case OPT_TIME:
    case OPT_POINT: return check_time(cmd, o, c);
    case OPT_NAME: return check_name(option_word(o->id), o->v, true, c);
    case OPT_REST: return check_name("group", o->v, false, c);
    case OPT_FILTER: return check_filter(o, c);
    case OPT_FLAG:
    case OPT_SWITCH:
    case OPT_STR:
    case OPT_PAIR: break;
    }
    return check_text(o, c);
}

/* What a positional word must be. */
enum shape { ANY, NAME_READ, NAME_WRITE, TXID, RECEIPT, RANGE, ID, DURATION, NUMBER, POSITION, TOKEN, POINT, USER };

struct command_shape {
    uint8_t pos[COMMAND_POS_MAX];
    uint8_t rest;
};

static const struct command_shape shapes[COMMAND_COUNT] = {
    [CMD_CHECKS_SERVE] = {{NAME_WRITE}, ANY},
    [CMD_CHECKS_UNSERVE] = {{NAME_WRITE}, ANY},
    [CMD_ACL_SETUSER] = {{USER}, ANY},
    [CMD_ACL_DELUSER] = {{ANY}, USER},
    [CMD_ACL_GETUSER] = {{USER}, ANY},
    [CMD_ACL_DRYRUN] = {{USER}, ANY},
    [CMD_SEND] = {{NAME_WRITE, ANY}, ANY},
    [CMD_MSEND] = {{NAME_WRITE}, ANY},
    [CMD_PRODUCE] = {{NAME_WRITE, ANY}, ANY},
    [CMD_HALF] = {{NAME_WRITE, NAME_WRITE, ANY}, ANY},
    [CMD_COMMIT] = {{TXID}, RANGE},
    [CMD_ROLLBACK] = {{TXID}, ANY},
    [CMD_UNKNOWN] = {{TXID}, ANY},
    [CMD_TXN_INFO] = {{TXID}, ANY},
    [CMD_TXN_MESSAGES] = {{TXID}, ANY},
    [CMD_TXN_EXTEND] = {{TXID, DURATION}, ANY},
    [CMD_CHECKS] = {{NAME_WRITE}, ANY},
    [CMD_PGROUP_SET] = {{NAME_WRITE}, ANY},
    [CMD_PGROUP_INFO] = {{NAME_WRITE}, ANY},
    [CMD_PGROUP_DELETE] = {{NAME_WRITE}, ANY},
    [CMD_POP] = {{NAME_WRITE}, NAME_READ},
    [CMD_ACK] = {{NAME_READ}, RANGE},
    [CMD_NACK] = {{NAME_READ, RECEIPT}, ANY},
    [CMD_EXTEND] = {{NAME_READ, RANGE, DURATION}, ANY},
    [CMD_REJECT] = {{NAME_READ, RECEIPT}, ANY},
    [CMD_GROUP_CREATE] = {{NAME_WRITE, NAME_READ}, ANY},
    [CMD_GROUP_SET] = {{NAME_READ, NAME_READ}, ANY},
    [CMD_GROUP_INFO] = {{NAME_READ}, ANY},
    [CMD_GROUP_PAUSE] = {{NAME_READ, NAME_READ}, ANY},
    [CMD_GROUP_RESUME] = {{NAME_READ, NAME_READ}, ANY},
    [CMD_GROUP_SEEK] = {{NAME_READ, NAME_READ, POINT}, ANY},
    [CMD_GROUP_DELETE] = {{NAME_READ}, ANY},
    [CMD_LAG] = {{NAME_READ}, ANY},
    [CMD_GROUP_LEASES] = {{NAME_READ, NAME_READ}, ANY},
    [CMD_DLQ_LIST] = {{NAME_READ}, ANY},
    [CMD_DLQ_REDRIVE] = {{NAME_READ}, ID},
    [CMD_DLQ_PURGE] = {{NAME_READ}, ANY},
    [CMD_STREAM_GROUP] = {{NAME_WRITE, NUMBER}, NAME_READ},
    [CMD_STREAM_QUEUE] = {{NAME_READ, NUMBER, POSITION, NUMBER}, ANY},
    [CMD_STREAM_CREDIT] = {{NUMBER, NUMBER}, ANY},
    [CMD_STREAM_CLOSE] = {{NUMBER}, ANY},
    [CMD_READ] = {{NAME_READ, NUMBER, POSITION}, ANY},
    [CMD_GET] = {{ID}, ANY},
    [CMD_FIND] = {{NAME_READ}, ANY},
    [CMD_DELAYED_LIST] = {{NAME_READ}, ANY},
    [CMD_DELAYED_CANCEL] = {{TOKEN}, ANY},
    [CMD_TOPIC_CREATE] = {{NAME_WRITE}, ANY},
    [CMD_TOPIC_SET] = {{NAME_WRITE}, ANY},
    [CMD_TOPIC_INFO] = {{NAME_READ}, ANY},
    [CMD_TOPIC_PURGE] = {{NAME_READ}, ANY},
    [CMD_TOPIC_DELETE] = {{NAME_READ}, ANY},
};

/* Says what is wrong with a word that command_check_shape_ok refused. */
static enum status command_check_bad_shape(const struct command *cmd, enum shape shape, size_t i, struct slice v,
                                           struct complaint c)
{
    char name[32] = "receipt", quoted[QUOTED_SIZE];
    struct slice named = command_name(cmd->info, i);
    if (named.len) /* COMMIT's receipts come with ACK and have no name in the table */
        snprintf(name, sizeof name, "%.*s", (int)named.len, (const char *)named.data);
    text_quote(v, QUOTED_BYTES, quoted, sizeof quoted);
    switch (shape) {
    case RECEIPT:
        return complain(c, ST_ERR, "%s '%s' is not a receipt: topic:queue:offset#attempt",
                        name, quoted);
    case RANGE:
        return complain(c, ST_ERR,
                        "%s '%s' is not a receipt: topic:queue:offset#attempt, or "
                        "topic:queue:first-last#attempt of at most %d messages",
                        name, quoted, COUNT_MAX);
    case ID:
        return complain(c, ST_ERR, "%s '%s' is not a message id: topic:queue:offset", name,
                        quoted);
    case TXID: return check_txid(name, v, c);
    case USER:
        return complain(c, ST_BADNAME, "%s '%s' is not a user's name: 1 to %d of A-Z a-z 0-9 . _ - @", name, quoted,
                        NAME_BYTES_MAX);
    case TOKEN:
        return complain(c, ST_ERR, "%s '%s' is not a delay token: @ and a number", name,
                        quoted);
    case DURATION: return complain(c, ST_ERR, "%s '%s' is not " DURATION_HINT, name, quoted);
    case NUMBER:
        return complain(c, ST_ERR, "%s '%s' is not a whole number from 0 to %" PRId64, name,
                        quoted, INT64_MAX);
    case POSITION:
        return complain(c, ST_ERR,
                        "%s '%s' is no position: write an offset, earliest, latest, -n (before the end) or @time", name,
                        quoted);
    case POINT:
        return complain(c, ST_ERR, "'%s' is not earliest, latest or a time: write Unix milliseconds, RFC 3339 as "
                                   "2026-01-31T12:00:00Z, or QUEUE n OFFSET o", quoted);
    case ANY:
    case NAME_READ:
    case NAME_WRITE: break;
    }
    return check_name(name, v, shape == NAME_WRITE, c);
}

static bool command_check_shape_ok(enum shape shape, struct slice v)
{
    struct message_id id;
    struct position at;
    uint64_t u;
    int64_t n;
    switch (shape) {
    case ANY: return true;
    case NAME_READ:
    case NAME_WRITE: return text_name_ok(v, shape == NAME_WRITE);
    case TXID: return text_txid(v, &u);
    case RECEIPT: return text_receipt(v, &id);
    case RANGE: return text_receipt_range(v, &id, &u);
    case ID: return text_id(v, &id);
    case DURATION: return text_duration(v, &n);
    case NUMBER: return text_uint(v, &u) && u <= INT64_MAX;
    case POSITION: return position_parse(v, &at);
    /* One that was never given out is asked for in vain. */
    case TOKEN: return v.len > 1 && v.data[0] == '@' && text_uint(slice_of(v.data + 1, v.len - 1), &u);
    case POINT: return command_point(v, &n);
    case USER: return text_user_ok(v);
    }
    return false;
}

static enum status check_words(const struct command *cmd, struct complaint c)
{
    const struct command_shape *s = &shapes[cmd->info->id];
    for (uint32_t i = 0; i < cmd->n_pos; i++) {
        if (!command_check_shape_ok((enum shape)s->pos[i], cmd->pos[i]))
            return command_check_bad_shape(cmd, (enum shape)s->pos[i], i, cmd->pos[i], c);
    }
    if (s->rest == ANY)
        return ST_OK;
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        if (!command_check_shape_ok((enum shape)s->rest, cmd->rest[i]))
            return command_check_bad_shape(cmd, (enum shape)s->rest, cmd->n_pos, cmd->rest[i], c);
    }
    return ST_OK;
}

/* Repeating options: how many, and how many bytes together. */
static enum status check_sums(const struct command *cmd, struct complaint c)
{
    size_t keys = 0, props = 0, props_bytes = 0;
    for (uint32_t i = 0; i < cmd->n_opt; i++) {
        const struct option *o = &cmd->opt[i];
        keys += o->id == OPT_ID_KEY;
        if (o->id == OPT_ID_PROP) {
            props++;
            props_bytes += o->v.len + o->v2.len;
        }
    }
    if (cmd->info->id == CMD_FIND && keys != 1)
        return complain(c, ST_ERR, "FIND takes exactly one KEY, not %zu", keys);
    if (keys > KEYS_MAX)
        return complain(c, ST_LIMIT, "KEY is given %zu times: a message has at most %d", keys,
                        KEYS_MAX);
    if (props > PROPS_MAX)
        return complain(c, ST_LIMIT, "PROP is given %zu times: a message has at most %d",
                        props, PROPS_MAX);
    if (props_bytes > PROPS_BYTES_MAX)
        return complain(c, ST_TOOBIG,
                        "PROP: all properties together are %zu bytes: at most %ld",
                        props_bytes, PROPS_BYTES_MAX);
    return ST_OK;
}

static enum status check_group_set(const struct command *cmd, struct complaint c)
{
    if (command_has(cmd, OPT(FROM)))
        return complain(c, ST_ERR, "FROM says where a new group begins: GROUP SEEK moves one that exists");
    if (cmd->n_opt == 0)
        return complain(c, ST_ERR, "GROUP SET needs at least one setting: RATE n, FILTER NONE, ORDERED no, ...");
    return ST_OK;
}

static enum status check_seek(const struct command *cmd, struct complaint c)
{
    bool to = cmd->n_pos > 2, queue = command_has(cmd, OPT(QUEUE)), offset = command_has(cmd, OPT(OFFSET));
    if (queue != offset)
        return complain(c, ST_ERR, "QUEUE and OFFSET are given together: QUEUE n OFFSET o");
    if (to == queue)
        return complain(c, ST_ERR, "GROUP SEEK goes to one of earliest, latest, a time, and QUEUE n OFFSET o");
    return ST_OK;
}

enum status command_check(struct command *cmd, struct complaint c)
{
    enum status s = check_words(cmd, c);
    if (s)
        return s;
    if (cmd->info->id == CMD_MSEND && cmd->n_rest > MSEND_BODIES_MAX)
        return complain(c, ST_LIMIT, "MSEND with %u bodies: at most %d in one request",
                        cmd->n_rest, MSEND_BODIES_MAX);
    if (cmd->info->id == CMD_DLQ_REDRIVE && cmd->n_rest && command_has(cmd, OPT(COUNT)))
        return complain(c, ST_ERR, "COUNT and ids cannot be given together: give one of them");
    if (cmd->info->id == CMD_PRODUCE)
        return batch_check(cmd->pos[1], &cmd->batch, c.text, c.size);
    if (command_has(cmd, OPT(ORDER)) && command_has(cmd, OPT(QUEUE)))
        return complain(c, ST_ERR,
                        "ORDER and QUEUE cannot be given together: ORDER chooses the queue");
    if (command_number(cmd, OPT_ID_FILTER, FILTER_NONE) != FILTER_NONE && cmd->pos[1].len > 7 &&
        memcmp(cmd->pos[1].data, "%RETRY%", 7) == 0)
        return complain(c, ST_ERR, "FILTER is not for %%RETRY%% topics: their messages were delivered before");
    if (cmd->info->id == CMD_PGROUP_SET && cmd->n_opt == 0)
        return complain(c, ST_ERR, "PGROUP SET needs at least one setting: CHECKIN dur, CHECKURL url, ...");
    if (cmd->info->id == CMD_TOPIC_SET && cmd->n_opt == 0)
        return complain(c, ST_ERR, "TOPIC SET needs at least one setting: QUEUES n, RETENTION dur, MAXBYTES n");
    if (cmd->info->id == CMD_GROUP_SET)
        return check_group_set(cmd, c);
    if (cmd->info->id == CMD_GROUP_SEEK)
        return check_seek(cmd, c);
    if (command_has(cmd, OPT(DELAY)) && command_has(cmd, OPT(AT)))
        return complain(c, ST_ERR, "DELAY and AT cannot be given together: give one of them");
    if (command_has(cmd, OPT(KEY) | OPT(PROP)) || cmd->info->id == CMD_FIND)
        return check_sums(cmd, c);
    return ST_OK;
}

/*
 * query_pgroup.c: PGROUP INFO, PGROUP LIST, and which producer groups are asked by HTTP.
 *
 * A producer group is listed while it has settings (row P) or open transactions (row Q); both kinds of rows
 * are sorted by name, so the list is a walk over the two side by side, in steps.
 */
#include "storage/query/handlers.h"

#include "storage/access/judge.h"
#include "storage/disk/pgroup_counts.h"
#include "storage/query/base/steps.h"

/* What a view knows of a producer group; its texts are in hold. */
struct about {
    struct buf hold;
    struct pgroup_row row;
    struct pgroup_open_row open;
    int64_t oldest_ms; /* 0: none */
};

/* When the oldest pending transaction was opened. Rows J are in the order of ids, which is by age, and an id has its
 * time. Young transactions (young.h) have no row yet, but they are not old either. */
static enum status pgroup_oldest(struct view *v, struct slice name, int64_t *ret_ms)
{
    struct key prefix = key_pending_prefix(name);
    struct kv_iter *it = view_rows(v, &prefix);
    if (!it)
        return ST_NOMEM;
    kv_iter_first(it);
    *ret_ms = 0;
    if (kv_iter_valid(it)) {
        struct slice key = kv_iter_key(it);
        *ret_ms = txid_time_ms(key_read_u64(key.data + key.len - 8));
    }
    enum status s = kv_iter_status(it);
    kv_iter_free(it);
    return s;
}

static enum status pgroup_read_rows(struct view *v, struct slice name, struct about *a)
{
    struct key settings = key_pgroup(name), open = key_pgroup_open(name);
    enum status s = kv_get(v->kv, KV_STATE, v->snap, key_slice(&settings), &a->hold);
    if (s == ST_OK && pgroup_decode(buf_slice(&a->hold), &a->row) != ST_OK)
        s = view_damaged(v, &settings);
    if (s != ST_OK && s != ST_GONE)
        return s;
    s = view_get(v, &open);
    if (s == ST_OK && pgroup_open_decode(buf_slice(&v->row), &a->open) != ST_OK)
        s = view_damaged(v, &open);
    if (s != ST_OK && s != ST_GONE)
        return s;
    return pgroup_oldest(v, name, &a->oldest_ms);
}

static void pgroup_put_set(struct buf *reply, uint32_t set)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {
        {PGROUP_CHECKURL, "checkurl"},     {PGROUP_SECRET, "secret"},     {PGROUP_CHECKIN, "checkin"},
        {PGROUP_CHECKEVERY, "checkevery"}, {PGROUP_CHECKMAX, "checkmax"}, {PGROUP_TIMEOUT, "timeout"},
    };
    reply_bulk_str(reply, "set");
    reply_array(reply, (size_t)__builtin_popcount(set));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (set & names[i].bit)
            reply_bulk_str(reply, names[i].name);
}

/* Writes the settings that count: the group's own or the broker's. The secret is never shown. */
static void pgroup_put_settings(struct buf *reply, const struct pgroup_row *row, const struct policy *policy)
{
    reply_bulk_str(reply, "checkurl");
    if (row->set & PGROUP_CHECKURL)
        reply_bulk(reply, row->checkurl);
    else
        reply_null(reply);
    reply_bulk_str(reply, "secret");
    reply_bool(reply, row->set & PGROUP_SECRET);
    reply_field_int(reply, "checkin", pgroup_checkin(row, policy));
    reply_field_int(reply, "checkevery", pgroup_check_every(row, policy));
    reply_field_int(reply, "checkmax", pgroup_check_max(row, policy));
    reply_field_int(reply, "timeout", pgroup_timeout(row, policy));
    pgroup_put_set(reply, row->set);
}

void query_pgroup_info(struct view *v, const struct command *cmd, struct buf *reply, struct query_hint *hint)
{
    (void)hint;
    struct about a = {0};
    buf_init(&a.hold, MIB(1));
    enum status s = pgroup_read_rows(v, cmd->pos[0], &a);
    if (s == ST_OK) {
        reply_map(reply, 11);
        reply_field_bytes(reply, "pgroup", cmd->pos[0]);
        pgroup_put_settings(reply, &a.row, &v->policy);
        reply_field_int(reply, "pending", (int64_t)a.open.pending);
        reply_field_int(reply, "parked", (int64_t)a.open.parked);
        reply_field_int(reply, "oldest", a.oldest_ms);
    } else {
        view_refuse(reply, s, "store", slice_of(NULL, 0));
    }
    buf_free(&a.hold);
}

static struct kv_iter *pgroup_rows(struct view *v, char kind, struct slice from)
{
    struct key prefix, first;
    key_begin(&prefix, kind);
    key_begin(&first, kind);
    key_bytes(&first, from);
    struct kv_iter *it = view_rows(v, &prefix);
    if (it)
        kv_iter_seek(it, key_slice(&first));
    return it;
}

static struct slice pgroup_name_at(const struct kv_iter *it)
{
    struct slice key = kv_iter_key(it);
    return slice_of(key.data + 1, key.len - 1);
}

static int pgroup_name_cmp(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.data, b.data, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

/* Goes over the names of both lists in order, each once. */
static enum status pgroup_names(struct view *v, struct kv_iter *a, struct kv_iter *b, struct buf *out)
{
    while (kv_iter_valid(a) || kv_iter_valid(b)) {
        bool both = kv_iter_valid(a) && kv_iter_valid(b);
        int c = both ? pgroup_name_cmp(pgroup_name_at(a), pgroup_name_at(b)) : kv_iter_valid(a) ? -1 : 1;
        struct slice name = pgroup_name_at(c <= 0 ? a : b);
        if (v->budget-- <= 0) {
            v->steps->at.len = 0;
            key_bytes(&v->steps->at, name);
            return ST_BUSY;
        }
        bool seen = !v->user || judge_pgroup(v->user, name);
        if (seen && out)
            reply_bulk(out, name);
        else if (seen)
            v->steps->n++;
        if (c <= 0)
            kv_iter_next(a);
        if (c >= 0)
            kv_iter_next(b);
    }
    return ST_OK;
}

/* steps.at is the name to go on with. */
static enum status pgroup_walk(struct view *v, const void *arg, struct buf *out)
{
    (void)arg;
    struct slice from = key_slice(&v->steps->at);
    struct kv_iter *settings = pgroup_rows(v, 'P', from), *open = pgroup_rows(v, 'Q', from);
    enum status s = settings && open ? pgroup_names(v, settings, open, out) : ST_NOMEM;
    if (s == ST_OK)
        s = kv_iter_status(settings);
    if (s == ST_OK)
        s = kv_iter_status(open);
    kv_iter_free(settings);
    kv_iter_free(open);
    return s;
}

void query_pgroup_list(struct view *v, const struct command *cmd, struct buf *reply, struct query_hint *hint)
{
    (void)cmd;
    (void)hint;
    enum status s = steps_walk(v, pgroup_walk, NULL, reply);
    if (s == ST_GONE) {
        reply_array(reply, 0);
        s = ST_OK;
    }
    steps_end(v, s, reply, "store", slice_of(NULL, 0));
}

enum status query_pgroup_hooks(struct view *v, void (*fn)(void *arg, const struct pgroup_hook *hook),
                               void *arg)
{
    struct kv_iter *it = pgroup_rows(v, 'P', slice_of(NULL, 0));
    if (!it)
        return ST_NOMEM;
    enum status s = ST_OK;
    for (; kv_iter_valid(it); kv_iter_next(it)) {
        struct pgroup_row row;
        if (pgroup_decode(kv_iter_value(it), &row) != ST_OK)
            s = kv_damaged_row(v->kv, kv_iter_key(it));
        else if (row.set & PGROUP_CHECKURL)
            fn(arg, &(struct pgroup_hook){pgroup_name_at(it), row.checkurl, row.secret});
    }
    if (kv_iter_status(it) != ST_OK)
        s = kv_iter_status(it);
    kv_iter_free(it);
    return s;
}

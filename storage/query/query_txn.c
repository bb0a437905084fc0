/*
 * query_txn.c: TXN INFO and TXN LIST.
 *
 * LIST reads the rows of open and of decided transactions side by side, by txid, so oldest first. Its cursor is the
 * first txid that was not read yet. One call reads a bounded number of rows, in steps, however few of them match. So a
 * caller that looks for the one parked transaction among a million outcomes calls several times.
 */
#include "storage/query/handlers.h"
#include "storage/access/judge.h"
#include "storage/query/base/steps.h"
#include "storage/query/txn_row.h"

#define LIST_SCAN_MAX 10000

static const char *const txn_words[] = {
    [TXN_PENDING] = "pending",
    [TXN_COMMITTED] = "committed",
    [TXN_ROLLEDBACK] = "rolledback",
    [TXN_PARKED] = "parked",
};

static void txn_put_ids(struct buf *r, const struct txn_row *row)
{
    struct cursor c = cursor_of(row->outcome);
    reply_bulk_str(r, "ids");
    reply_array(r, row->n_messages);
    for (uint32_t i = 0; i < row->n_messages; i++)
        reply_bulk(r, cursor_sized(&c));
}

static void txn_put_info(struct buf *reply, uint64_t txid, const struct txn_row *row)
{
    bool decided = row->state == TXN_COMMITTED || row->state == TXN_ROLLEDBACK;
    bool committed = row->state == TXN_COMMITTED;
    size_t pairs = 9;
    pairs += decided ? 1 : 0;
    pairs += committed ? 1 : 0;
    reply_map(reply, pairs);
    reply_bulk_str(reply, "txid");
    reply_bulk_uint(reply, txid);
    reply_bulk_str(reply, "state");
    reply_bulk_str(reply, txn_words[row->state]);
    reply_field_bytes(reply, "pgroup", row->pgroup);
    reply_field_int(reply, "created", row->created_ms);
    reply_field_int(reply, "checks", row->checks);
    reply_field_int(reply, "messages", row->n_messages);
    reply_field_int(reply, "bytes", (int64_t)row->bytes);
    reply_field_int(reply, "timeout", row->timeout_ms);
    reply_field_int(reply, "next_check", row->state == TXN_PENDING ? row->next_check_ms : 0);
    if (decided)
        reply_field_int(reply, "decided", row->decided_ms);
    if (committed)
        txn_put_ids(reply, row);
}

void query_txn_info(struct view *v, const struct command *cmd, struct buf *reply, struct query_hint *hint)
{
    (void)hint;
    uint64_t txid = 0;
    bool parsed = text_txid(cmd->pos[0], &txid);
    assert(parsed);
    struct txn_row row;
    enum status s = txn_row_find(v, txid, &row);
    if (s != ST_OK)
        txn_row_refuse(reply, s, txid);
    else
        txn_put_info(reply, txid, &row);
}

/* What a TXN LIST is asked for, and what it has found so far. */
struct list {
    bool begun;
    uint64_t cursor; /* first txid to read; afterwards the next one, 0: there is none */
    struct meta_row meta; /* says which young rows are valid */
    const struct option *pgroup;
    int state; /* 0: any */
    uint32_t scanned;
    struct gather g;
};

/* Reads the options. False: one is wrong, and that is answered. */
static bool txn_list_begin(struct view *v, struct list *l, const struct command *cmd, struct buf *reply)
{
    const struct option *state = command_option(cmd, OPT_ID_STATE), *cursor = command_option(cmd, OPT_ID_CURSOR);
    *l = (struct list){.begun = true, .pgroup = command_option(cmd, OPT_ID_PGROUP)};
    char text[80];
    for (int i = TXN_PENDING; state && i <= TXN_PARKED; i++)
        if (slice_equal_nocase(state->v, slice_str(txn_words[i])))
            l->state = i;
    if (state && !l->state) {
        text_quote(state->v, 60, text, sizeof(text));
        reply_error(reply, ST_ERR, "STATE '%s' is not pending, committed, rolledback or parked", text);
        return false;
    }
    if (cursor && !text_uint(cursor->v, &l->cursor)) {
        text_quote(cursor->v, 60, text, sizeof(text));
        reply_error(reply, ST_ERR, "CURSOR '%s' is not a number: send 0, then the cursor of the last reply", text);
        return false;
    }
    gather_begin(&l->g, &v->steps->items, (uint32_t)command_number(cmd, OPT_ID_COUNT, LIST_COUNT_DEFAULT), v->reply_most);
    return true;
}

static enum status txn_list_row(struct list *l, struct view *v, uint64_t txid, const struct kv_iter *it)
{
    struct txn_row row;
    view_spend(v, kv_iter_value(it).len);
    if (txn_decode(kv_iter_value(it), &row) != ST_OK)
        return kv_damaged_row(v->kv, kv_iter_key(it));
    bool seen = !v->user || judge_pgroup(v->user, row.pgroup);
    bool meant = seen && (!l->state || (int)row.state == l->state) &&
                 (!l->pgroup || slice_equal(l->pgroup->v, row.pgroup)) && !txn_row_forgotten(v, &row);
    if (meant && !(row.young && !meta_young_counts(&l->meta, txid))) {
        txn_put_info(l->g.items, txid, &row);
        l->g.n++;
    }
    return ST_OK;
}

static uint64_t txn_id_at(const struct kv_iter *it)
{
    return kv_iter_valid(it) ? key_read_u64(kv_iter_key(it).data + 1) : UINT64_MAX;
}

/* Reads open and decided transactions side by side, to the end of the budget (ST_BUSY) or of the list. Where a txid has
 * both rows, the outcome counts. */
static enum status txn_list_walk(struct list *l, struct view *v, struct kv_iter *open, struct kv_iter *outcomes)
{
    enum status s = ST_OK;
    while (s == ST_OK && (kv_iter_valid(open) || kv_iter_valid(outcomes))) {
        uint64_t x = txn_id_at(open), o = txn_id_at(outcomes), txid = x < o ? x : o;
        l->cursor = txid;
        if (v->budget <= 0)
            return ST_BUSY;
        if (gather_full(&l->g) || l->scanned++ == LIST_SCAN_MAX)
            return ST_OK;
        s = txn_list_row(l, v, txid, o == txid ? outcomes : open);
        if (s == ST_OK && x == txid)
            kv_iter_next(open);
        if (s == ST_OK && o == txid)
            kv_iter_next(outcomes);
    }
    l->cursor = 0;
    return s;
}

static struct kv_iter *txn_list_from(struct view *v, struct key from)
{
    struct key to;
    key_begin(&to, (char)from.bytes[0]);
    to = key_after(&to);
    struct kv_iter *it = kv_iter_new(v->kv, KV_STATE, v->snap, key_slice(&from), key_slice(&to));
    if (it)
        kv_iter_first(it);
    return it;
}

static enum status txn_list_rows(struct list *l, struct view *v)
{
    enum status s = txn_row_meta(v, &l->meta);
    if (s != ST_OK && s != ST_GONE) /* ST_GONE: nothing was ever written */
        return s;
    struct kv_iter *open = txn_list_from(v, key_txn(l->cursor)), *outcomes = txn_list_from(v, key_outcome(l->cursor));
    s = open && outcomes ? txn_list_walk(l, v, open, outcomes) : ST_NOMEM;
    enum status open_ends = open ? kv_iter_status(open) : ST_OK, outcomes_end = outcomes ? kv_iter_status(outcomes) : ST_OK;
    if (s == ST_OK || s == ST_BUSY)
        s = open_ends != ST_OK ? open_ends : outcomes_end != ST_OK ? outcomes_end : s;
    kv_iter_free(open);
    kv_iter_free(outcomes);
    return s;
}

/* It may end for its bytes without a hint, as the cursor says where to go on. */
void query_txn_list(struct view *v, const struct command *cmd, struct buf *reply, struct query_hint *hint)
{
    (void)hint;
    struct list *l = steps_own(v, sizeof(*l));
    enum status s = l ? ST_OK : ST_NOMEM;
    if (l && !l->begun && !txn_list_begin(v, l, cmd, reply))
        return;
    if (s == ST_OK && v->steps->phase == STEPS_LOOK) {
        s = txn_list_rows(l, v);
        if (s == ST_OK) {
            reply_array(reply, 2);
            reply_bulk_uint(reply, l->cursor);
        }
    }
    if (s == ST_OK)
        s = steps_put(v, l->g.n, reply);
    steps_end(v, s, reply, "store", slice_of(NULL, 0));
}

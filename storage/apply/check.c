/*
 * check.c: check-backs: CHECKS delivers those that are due, UNASK takes an ask back, UNKNOWN and TXN EXTEND answer one
 * without deciding.
 *
 *   K rows of a producer group, by due time:   floor ... due, due │ now │ later, later ...
 *                                               delivered ▲          └─ retry_at for the caller
 *
 * A scan ends LOOKAHEAD_MS after now. Transactions that were decided leave deletion marks in the store until a
 * compaction removes them, and letting a taker come again soon costs less than reading all those marks.
 */
#include "storage/apply/handlers.h"

#include "protocol/record/check_object.h"
#include "storage/apply/acl/seen.h"
#include "storage/model/txn.h"

#define LOOKAHEAD_MS 2000
#define CHECKS_SCAN_MAX 4096

struct checks {
    struct state *st;
    const struct stamp *stamp;
    struct pgroup *pgroup;
    struct buf items; /* tokens of the objects */
    uint32_t wanted, found;
    bool stops; /* at a long transaction: the next CHECKS begins with it */
    bool alone; /* a long transaction is all there is */
    int64_t next_ms; /* when the first one is due that is not due yet; 0: none was seen */
    enum status status;
};

static enum status check_messages(struct state *st, struct buf *r, uint64_t txid,
                                  const struct txn_row *row)
{
    for (uint32_t i = 0; i < row->n_messages; i++) {
        struct half_row half;
        struct message m;
        struct kv_pin *pin = NULL; /* a large message is copied once, into the reply */
        struct slice bytes;
        buf_reset(&st->props, KIB(256));
        enum status s = txn_message_pinned(st, txid, row, i, &st->props, &pin, &bytes);
        if (s == ST_OK)
            s = txn_message_decode(st, txid, row, i, pin ? bytes : buf_slice(&st->props), &half, &m);
        if (s == ST_OK)
            check_object_put_message(r, half.topic, &m);
        kv_unpin(pin);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static enum status check_object(struct state *st, struct buf *r, uint64_t txid,
                                const struct txn_row *row)
{
    const struct check_head head = {
        .txid = txid, .pgroup = row->pgroup, .attempt = row->checks, .created_ms = row->created_ms};
    check_object_put_head(r, &head, row->n_messages);
    return check_messages(st, r, txid, row);
}

static int64_t check_pause(const struct checks *c, uint32_t asks)
{
    int64_t pause = pgroup_check_every(&c->pgroup->own, c->stamp->policy) * (int64_t)asks;
    return pause < CHECK_PAUSE_MAX_MS ? pause : CHECK_PAUSE_MAX_MS;
}

/* Writes the object of a transaction. Of a long one it is only a note, which has the reply to itself: whoever delivers it
 * reads the messages from a view (query_check_next), so that the writer need not. */
static enum status check_put(struct checks *c, uint64_t txid, const struct txn_row *row, bool is_long)
{
    c->alone = is_long;
    if (!is_long)
        return check_object(c->st, &c->items, txid, row);
    check_object_put_note(&c->items, txid, row->checks);
    return ST_OK;
}

/* Asks about one transaction whose K row is due: counts the ask and sets the next time. */
static void check_ask(struct checks *c, int64_t due_ms, uint64_t txid)
{
    struct state *st = c->st;
    struct txn_row row;
    enum status s = txn_get(st, c->stamp, txid, &st->scratch, &row);
    bool stale = s == ST_GONE || (s == ST_OK && (row.state != TXN_PENDING || row.next_check_ms != due_ms));
    if (stale) /* decided or moved in the open group: its K row is being deleted */
        return;
    if (s != ST_OK) {
        c->status = s;
        return;
    }
    if (row.checks >= pgroup_check_max(&c->pgroup->own, c->stamp->policy)) {
        /* check_max was lowered since: the timer parks it */
        txn_unschedule(st, c->stamp, txid, &row);
        txn_schedule(st, c->stamp, txid, &row);
        return;
    }
    bool is_long = txn_is_long(&row);
    c->stops = is_long && c->found > 0;
    if (c->stops)
        return;
    size_t before = c->items.len;
    row.checks++;
    s = check_put(c, txid, &row, is_long);
    row.checks--;
    if (s != ST_OK) {
        c->items.len = before;
        c->status = s;
        return;
    }
    txn_unschedule(st, c->stamp, txid, &row);
    row.checks++;
    row.answered = false;
    row.next_check_ms = c->stamp->now_ms + check_pause(c, row.checks);
    txn_schedule(st, c->stamp, txid, &row);
    txn_put(st, txid, &row);
    st->tally.checks_asked++;
    c->found++;
}

/* Takes into account the rows of the open group, which are not in the store yet, so the scan did not see them. */
static void check_see_fresh(struct checks *c, struct pgroup *pg)
{
    if (pg->fresh_group != c->st->group)
        return;
    if (pg->fresh_ms < pg->floor_ms)
        pg->floor_ms = pg->fresh_ms;
    if (c->next_ms == 0 || pg->fresh_ms < c->next_ms)
        c->next_ms = pg->fresh_ms;
}

static void check_scan(struct checks *c)
{
    struct pgroup *pg = c->pgroup;
    int64_t now = c->stamp->now_ms;
    struct key from = key_check(pg->name, pg->floor_ms, 0);
    struct key to = key_check(pg->name, now + LOOKAHEAD_MS, 0);
    struct kv_iter *it = kv_iter_new(c->st->kv, KV_STATE, NULL, key_slice(&from), key_slice(&to));
    if (!it) {
        c->status = ST_NOMEM;
        return;
    }
    uint32_t scanned = 0;
    int64_t due = pg->floor_ms;
    bool end = true; /* everything that is due was seen */
    for (kv_iter_first(it); c->status == ST_OK && kv_iter_valid(it); kv_iter_next(it)) {
        struct slice key = kv_iter_key(it);
        const uint8_t *numbers = key.data + key.len - 16;
        due = (int64_t)key_read_u64(numbers);
        if (due > now) {
            c->next_ms = due;
            break;
        }
        bool enough = c->found == c->wanted || c->alone || c->items.len >= REPLY_BYTES_SOFT;
        if (enough || scanned++ == CHECKS_SCAN_MAX) {
            end = false;
            break;
        }
        check_ask(c, due, key_read_u64(numbers + 8));
        if (c->stops) {
            end = false;
            break;
        }
        if (c->status == ST_DAMAGED)
            c->status = ST_OK; /* nobody can be asked about it; its timeout parks it, where that can be read */
    }
    if (c->status == ST_OK)
        c->status = kv_iter_status(it);
    kv_iter_free(it);
    if (c->status != ST_OK)
        return; /* the floor stays, so that the next scan starts there again */
    pg->floor_ms = end ? now : due;
    if (!end)
        c->next_ms = now;
    check_see_fresh(c, pg);
}

/* When the taker should come again, as nothing was due. */
static int64_t check_retry(const struct checks *c)
{
    if (c->pgroup->open.pending == 0)
        return 0;
    return c->next_ms ? c->next_ms : c->stamp->now_ms + LOOKAHEAD_MS;
}

/*
 * Remembers when some taker comes again by itself: a check that is due by then needs no news. Other takers may have
 * been told later times, or none, so the time is only moved later. A taker that got something may not come again, and
 * there may be more checks, now or later. So the others get news, and are told a time when they look.
 */
static void check_arm(struct checks *c, struct pgroup *pg, int64_t retry_ms)
{
    if (retry_ms == 0)
        pg->armed_ms = INT64_MAX;
    else if (retry_ms > pg->armed_ms)
        pg->armed_ms = retry_ms;
    if (c->found > 0)
        core_news(c->st, &pg->news, 1);
}

static void check_reply(struct checks *c, struct buf *reply)
{
    reply_array(reply, c->found);
    buf_put_slice(reply, buf_slice(&c->items));
}

void apply_checks(struct state *st, const struct stamp *stamp, const struct command *cmd,
                  struct outcome *out)
{
    struct checks c = {.st = st, .stamp = stamp};
    c.wanted = (uint32_t)command_number(cmd, OPT_ID_COUNT, 1);
    enum status s = pgroup_get(st, cmd->pos[0], &c.pgroup);
    if (s != ST_OK) {
        core_fail(out, s, "CHECKS");
        return;
    }
    buf_init(&c.items, REPLY_BYTES_MAX);
    check_scan(&c);
    if (c.found > 0 && c.status != ST_NOMEM)
        c.status = ST_OK; /* what cannot be read ends the scan, and it answers with what it has */
    if (c.status == ST_OK && !c.items.failed) {
        check_reply(&c, &out->reply);
        out->nothing = c.found == 0;
        out->retry_at_ms = out->nothing ? check_retry(&c) : 0;
        check_arm(&c, c.pgroup, out->retry_at_ms);
    } else {
        st->sick = st->sick || (c.found > 0 && c.items.failed);
        core_fail(out, c.status == ST_OK ? ST_NOMEM : c.status, "CHECKS");
    }
    buf_free(&c.items);
}

/* Reads the transaction that a command names. False: it is not known, and that is answered. */
static bool check_open(struct state *st, const struct stamp *stamp, const struct command *cmd,
                       struct slice text, uint64_t *ret_txid, struct txn_row *ret_row,
                       struct outcome *out)
{
    bool parsed = text_txid(text, ret_txid);
    assert(parsed);
    enum status s = seen_txn(st, stamp, cmd, *ret_txid, &st->scratch, ret_row);
    if (s == ST_OK)
        return true;
    txn_refuse(out, s, *ret_txid);
    return false;
}

void apply_unknown(struct state *st, const struct stamp *stamp, const struct command *cmd,
                   struct outcome *out)
{
    uint64_t txid = 0;
    struct txn_row row;
    if (!check_open(st, stamp, cmd, cmd->pos[0], &txid, &row, out))
        return;
    if (row.state == TXN_PENDING && row.checks > 0 && !row.answered) {
        row.answered = true;
        txn_put(st, txid, &row);
    }
    reply_ok(&out->reply); /* the next ask is scheduled */
}

void apply_txn_extend(struct state *st, const struct stamp *stamp, const struct command *cmd,
                      struct outcome *out)
{
    uint64_t txid = 0;
    struct txn_row row;
    if (!check_open(st, stamp, cmd, cmd->pos[0], &txid, &row, out))
        return;
    if (row.state != TXN_PENDING) {
        reply_error(&out->reply, ST_TXNCONFLICT, "transaction %llu is no longer open",
                    (unsigned long long)txid);
        return;
    }
    int64_t dur = 0;
    bool parsed = text_duration(cmd->pos[1], &dur);
    assert(parsed);
    txn_move_check(st, stamp, txid, &row, stamp->now_ms + dur);
    txn_put(st, txid, &row);
    reply_ok(&out->reply);
}

/* Reads "txid-attempt", or "txid", which means the newest ask. */
static bool check_unask_word(struct slice word, uint64_t *ret_txid, uint64_t *ret_attempt)
{
    const uint8_t *dash = memchr(word.data, '-', word.len);
    size_t n = dash ? (size_t)(dash - word.data) : word.len;
    *ret_attempt = 0;
    return text_txid(slice_of(word.data, n), ret_txid) &&
           (!dash || text_uint(slice_of(dash + 1, word.len - n - 1), ret_attempt));
}

/* A member that was asked may disconnect after another one was asked, or after it answered UNKNOWN. Then there is
 * nothing to take back. */
void apply_unask(struct state *st, const struct stamp *stamp, const struct command *cmd,
                 struct outcome *out)
{
    for (uint32_t i = 0; i < cmd->n_rest; i++) {
        uint64_t txid = 0, attempt = 0;
        struct txn_row row;
        if (!check_unask_word(cmd->rest[i], &txid, &attempt) ||
            txn_get(st, stamp, txid, &st->scratch, &row) != ST_OK || row.state != TXN_PENDING ||
            row.checks == 0 || row.answered || (attempt && attempt != row.checks))
            continue;
        txn_unschedule(st, stamp, txid, &row);
        row.checks--;
        row.next_check_ms = stamp->now_ms;
        txn_schedule(st, stamp, txid, &row);
        txn_put(st, txid, &row);
        st->tally.checks_asked--;
    }
    reply_ok(&out->reply);
}

/*
 * commit.c: COMMIT and ROLLBACK.
 *
 * COMMIT does everything in one group: messages go to their topics, the row becomes the outcome, timers are deleted,
 * and the receipts given with ACK are acknowledged. If any of it is not possible, nothing happens. So everything that
 * can refuse is checked first.
 *
 *   look up ─► repeat? answer the ids ─► receipts hold? ─► topics there? ─► append, outcome, ack
 *
 * The messages of a long transaction are read before, some at a time (commit_ahead): what a HALF has stored does not change
 * any more. Whatever happened to the transaction meanwhile is seen when the COMMIT is applied.
 */
#include "storage/apply/handlers.h"
#include "storage/apply/acl/seen.h"
#include "storage/model/delay.h"
#include "storage/group/group.h"
#include "storage/model/enqueue.h"
#include "storage/model/txn.h"
#include "storage/group/lease.h"

#define PARTS_KEEP KIB(256)    /* of each of a COMMIT's buffers, for the next one */
#define AHEAD_BYTES ((size_t)MIB(2)) /* that commit_ahead reads at once ... */
#define AHEAD_ROW_BYTES 1024         /* ... where each row counts for so many more */
#define COMMIT_ACKS_MAX 100000 /* messages that the receipts of one COMMIT may name: each is looked up */

/* A message of the transaction on its way to its topic. */
struct commit_part {
    struct kv_pin *pin;   /* holds its row, where that is large, ... */
    size_t at;            /* ... or NULL: the row is in st->parts_bytes */
    struct slice row;
    struct half_row half; /* its slices point there */
    struct topic *topic;  /* NULL: still to be made */
};

static uint64_t commit_txid(const struct command *cmd)
{
    uint64_t txid = 0;
    bool parsed = text_txid(cmd->pos[0], &txid);
    assert(parsed);
    return txid;
}

/* Answers the ids, as the first COMMIT did. */
static void commit_again(struct outcome *out, const struct txn_row *row)
{
    struct cursor c = cursor_of(row->outcome);
    reply_array(&out->reply, row->n_messages);
    for (uint32_t i = 0; i < row->n_messages; i++)
        reply_bulk(&out->reply, cursor_sized(&c));
    assert(!c.bad);
}

static void commit_conflict(struct state *st, struct outcome *out, uint64_t txid, const char *was)
{
    st->tally.conflicts++;
    reply_error(&out->reply, ST_TXNCONFLICT, "transaction %llu was %s: the first decision stands",
                (unsigned long long)txid, was);
}

/* True where all receipts given with COMMIT hold. False: one does not, and that is answered. */
static bool commit_receipts_hold(struct state *st, const struct stamp *stamp, const struct command *cmd,
                                 struct outcome *out)
{
    const struct option *ack = command_option(cmd, OPT_ID_ACK);
    uint64_t named = 0;
    for (uint32_t i = 0; ack && i < cmd->n_rest; i++) {
        struct message_id id;
        uint64_t last = 0;
        struct gt *gt = NULL;
        bool parsed = text_receipt_range(cmd->rest[i], &id, &last);
        assert(parsed);
        named += last - id.offset + 1;
        if (named > COMMIT_ACKS_MAX) {
            reply_error(&out->reply, ST_LIMIT, "COMMIT acknowledges at most %d messages: nothing was done",
                        COMMIT_ACKS_MAX);
            return false;
        }
        bool exists = true;
        enum status s = group_get(st, ack->v, id.topic, &gt);
        enum status looked = s == ST_GONE ? group_exists(st, ack->v, &exists) : ST_OK;
        s = looked == ST_OK ? s : looked;
        char text[200];
        if (s != ST_OK && s != ST_GONE) {
            core_fail(out, s, "COMMIT");
            return false;
        }
        if (!exists) {
            text_quote(ack->v, 130, text, sizeof(text));
            reply_error(&out->reply, ST_NOGROUP, "no group '%s': the transaction stays open", text);
            return false;
        }
        if (!gt || lease_held(gt, &id, last, stamp->now_ms) != last - id.offset + 1) {
            text_quote(cmd->rest[i], 180, text, sizeof(text));
            reply_error(&out->reply, ST_STALE, "the receipt %s is stale: the transaction stays open", text);
            return false;
        }
    }
    return true;
}

static void commit_ack(struct state *st, const struct stamp *stamp, const struct command *cmd)
{
    const struct option *ack = command_option(cmd, OPT_ID_ACK);
    for (uint32_t i = 0; ack && i < cmd->n_rest; i++) {
        struct message_id id;
        uint64_t last = 0;
        struct gt *gt = NULL;
        if (text_receipt_range(cmd->rest[i], &id, &last) && group_get(st, ack->v, id.topic, &gt) == ST_OK)
            st->tally.messages_acked += lease_ack(st, gt, &id, last, stamp->now_ms);
    }
}

/* ---- what is read of a transaction ---- */

/* Room for all messages of the transaction; those that were read before stay. NULL: no memory. */
static struct commit_part *commit_parts(struct buf *parts, uint32_t n_read, const struct txn_row *row)
{
    parts->len = n_read * sizeof(struct commit_part);
    if (!buf_room(parts, (row->n_messages - n_read) * sizeof(struct commit_part)))
        return NULL;
    return (struct commit_part *)(void *)parts->data;
}

/* Reads messages from *n_read on, about so many bytes of them: ST_BUSY, there are more. Those before *n_read have a pin or
 * NULL afterwards. */
static enum status commit_read(struct state *st, uint64_t txid, const struct txn_row *row, struct commit_part *parts,
                               struct buf *bytes, uint32_t *n_read, size_t most)
{
    for (size_t done = 0; *n_read < row->n_messages; ++*n_read) {
        struct commit_part *part = &parts[*n_read];
        if (done >= most)
            return ST_BUSY;
        part->at = bytes->len;
        enum status s = txn_message_pinned(st, txid, row, *n_read, bytes, &part->pin, &part->row);
        if (s != ST_OK) {
            kv_unpin(part->pin);
            return s;
        }
        if (!part->pin)
            part->row.len = bytes->len - part->at;
        done += part->row.len + AHEAD_ROW_BYTES;
    }
    return ST_OK;
}

static void commit_unpin(const struct buf *parts, uint32_t n_read)
{
    const struct commit_part *part = (const struct commit_part *)(const void *)parts->data;
    for (uint32_t i = 0; i < n_read; i++)
        kv_unpin(part[i].pin);
}

void commit_forget(struct state *st)
{
    struct commit_ahead *a = &st->ahead;
    commit_unpin(&a->parts, a->n_read);
    buf_free(&a->parts);
    buf_free(&a->bytes);
    a->txid = 0;
    a->n_read = 0;
}

/* Reads the row of the transaction if that is long and not decided. False: it is not that, or cannot be read. */
static bool commit_is_long(struct state *st, const struct stamp *stamp, uint64_t txid, struct txn_row *ret_row)
{
    return txn_get(st, stamp, txid, &st->scratch, ret_row) == ST_OK && ret_row->state != TXN_COMMITTED &&
           ret_row->state != TXN_ROLLEDBACK && txn_is_long(ret_row);
}

/* Messages are mostly of one size. */
static size_t commit_row_bytes(const struct txn_row *row)
{
    return (size_t)(row->bytes / row->n_messages) + 1;
}

void commit_need(struct state *st, const struct stamp *stamp, const struct command *cmd, struct need *need)
{
    struct txn_row row;
    if (commit_is_long(st, stamp, commit_txid(cmd), &row))
        need_add(need, commit_row_bytes(&row), row.n_messages);
}

/* Is memory to be made ready before the next message is read? */
static bool commit_wants(const struct commit_ahead *a, const struct txn_row *row, size_t *large)
{
    size_t next = a->n_read < row->n_messages ? commit_row_bytes(row) : 0;
    bool wants = next > NEED_LARGE_BYTES && next > *large;
    if (wants)
        *large = next;
    return wants;
}

enum status commit_ahead(struct state *st, const struct stamp *stamp, const struct command *cmd, size_t *large)
{
    struct commit_ahead *a = &st->ahead;
    uint64_t txid = commit_txid(cmd);
    struct txn_row row;
    if (!commit_is_long(st, stamp, txid, &row))
        return ST_OK;
    if (a->txid != txid) {
        commit_forget(st);
        a->txid = txid;
    }
    if (commit_wants(a, &row, large))
        return ST_BUSY;
    struct commit_part *parts = commit_parts(&a->parts, a->n_read, &row);
    enum status s = parts ? commit_read(st, txid, &row, parts, &a->bytes, &a->n_read, AHEAD_BYTES) : ST_NOMEM;
    if (s == ST_NOMEM)
        commit_forget(st);
    return s;
}

/* What was read of the transaction before. Returns how many messages; they are in st->parts and st->parts_bytes. */
static uint32_t commit_take_ahead(struct state *st, uint64_t txid)
{
    struct commit_ahead *a = &st->ahead;
    if (a->txid != txid)
        return 0;
    uint32_t n = a->n_read;
    buf_free(&st->parts);
    buf_free(&st->parts_bytes);
    st->parts = a->parts;
    st->parts_bytes = a->bytes;
    a->txid = 0;
    a->n_read = 0;
    buf_init(&a->parts, 0);
    buf_init(&a->bytes, REQUEST_BYTES_MAX + MIB(1));
    return n;
}

/* ---- checks ---- */

/* True where the topic of parts[i] is to be made, and none of the parts before it makes it already. */
static bool commit_makes_topic(const struct commit_part *parts, uint32_t i)
{
    if (parts[i].topic)
        return false;
    for (uint32_t k = 0; k < i; k++)
        if (!parts[k].topic && slice_equal(parts[k].half.topic, parts[i].half.topic))
            return false;
    return true;
}

/* Decodes every message and looks for its topic (NULL where it is to be made), before anything is changed. */
static enum status commit_gather(struct state *st, const struct stamp *stamp, uint64_t txid,
                                 const struct txn_row *row, struct commit_part *parts, uint32_t *n_read,
                                 struct slice *ret_topic)
{
    uint64_t missing = 0;
    enum status s = commit_read(st, txid, row, parts, &st->parts_bytes, n_read, SIZE_MAX);
    for (uint32_t i = 0; i < row->n_messages && s == ST_OK; i++) {
        struct commit_part *part = &parts[i];
        struct message m;
        if (!part->pin) /* of the small ones; the buffer does not move any more */
            part->row.data = st->parts_bytes.data + part->at;
        s = txn_message_decode(st, txid, row, i, part->row, &part->half, &m);
        if (s != ST_OK)
            return s;
        *ret_topic = part->half.topic;
        s = topic_find(st, stamp, part->half.topic, &part->topic);
        missing += s == ST_OK && commit_makes_topic(parts, i);
        if (s == ST_OK && st->meta.topics + missing > TOPICS_MAX)
            s = ST_LIMIT;
    }
    return s;
}

static int64_t commit_due_ms(const struct stamp *stamp, const struct half_row *half)
{
    return half->delay_ms ? stamp->now_ms + half->delay_ms : half->at_ms;
}

/* Makes a message of the transaction visible, or delays it until it is due. *ret_text: its id or token. */
static enum status commit_place(struct state *st, const struct stamp *stamp, struct topic *t,
                                const struct half_row *half, struct message *m, struct buf *ret_text)
{
    int64_t due_ms = commit_due_ms(stamp, half);
    if (due_ms > stamp->now_ms) {
        text_put_token(ret_text, delay_put(st, stamp, t, due_ms, half, m, false));
        return ST_OK;
    }
    uint32_t queue = 0;
    uint64_t offset = 0;
    const uint32_t *wanted = half->has_queue ? &half->queue : NULL;
    int64_t expires_ms = enqueue_expires(stamp->now_ms, half->ttl_ms);
    enum status s = enqueue_store(st, stamp, t, expires_ms, wanted, m, &queue, &offset);
    if (s == ST_OK)
        text_put_id(ret_text, t->name, queue, offset);
    return s;
}

/* True where the body is pinned for as long as it is needed: that of a delayed message is a row's until the group is written. */
static bool commit_is_pinned(struct state *st, const struct stamp *stamp, struct commit_part *part)
{
    if (!part->pin || commit_due_ms(stamp, &part->half) <= stamp->now_ms)
        return part->pin;
    bool kept = overlay_keep_pin(&st->overlay, part->pin);
    if (kept)
        part->pin = NULL;
    return kept;
}

/* As commit_place of the transaction's n-th message, which says where in the store the body is. */
static enum status commit_place_part(struct state *st, const struct stamp *stamp, struct topic *t, uint32_t n,
                                     struct commit_part *part, struct message *m, struct buf *ret_text)
{
    struct key key = key_txn_message(m->txid, n);
    struct kv_source source = {.key = key_slice(&key)};
    if (commit_is_pinned(st, stamp, part)) {
        source.from = (size_t)(m->body.data - part->row.data);
        st->source = &source;
    }
    enum status s = commit_place(st, stamp, t, &part->half, m, ret_text);
    st->source = NULL;
    return s;
}

static enum status commit_append(struct state *st, const struct stamp *stamp, uint64_t txid, uint32_t n,
                                 struct commit_part *part)
{
    const struct half_row *half = &part->half;
    struct message m;
    enum status s = message_decode(half->message, half->base_ms, &m);
    if (s != ST_OK)
        return s; /* cannot happen: commit_gather has decoded it */
    struct topic *t = part->topic;
    if (!t)
        s = topic_need(st, stamp, half->topic, &t);
    if (s != ST_OK)
        return s;
    m.fields |= MSG_TXN;
    m.txid = txid;
    buf_reset(&st->props, KIB(64));
    s = commit_place_part(st, stamp, t, n, part, &m, &st->props);
    if (s != ST_OK)
        return s;
    buf_put_sized(&st->outcome, buf_slice(&st->props));
    return st->props.failed ? ST_NOMEM : ST_OK;
}

static void commit_refuse(struct outcome *out, enum status s, uint64_t txid, struct slice topic)
{
    char name[160];
    text_quote(topic, 130, name, sizeof(name));
    if (s == ST_NOTOPIC)
        reply_error(&out->reply, s,
                    "no topic '%s', and auto_create_topics is off: TOPIC CREATE it, then COMMIT %llu again",
                    name, (unsigned long long)txid);
    else
        enqueue_refuse(out, s, topic);
}

/* Does the COMMIT after everything was checked. If anything fails now, half of it is done, so the group is given up. */
static void commit_do(struct state *st, const struct stamp *stamp, const struct command *cmd,
                      uint64_t txid, struct txn_row *row, struct commit_part *parts, struct outcome *out)
{
    enum status s = ST_OK;
    if (row->bytes >= BUF_LARGE) { /* what was made ready for it (commit_need) is enough */
        struct need need = {0};
        need_add(&need, commit_row_bytes(row), row->n_messages);
        kv_reserve(st->kv, need.batch);
    }
    for (uint32_t i = 0; i < row->n_messages && s == ST_OK; i++)
        s = commit_append(st, stamp, txid, i, &parts[i]);
    if (s == ST_OK && st->outcome.failed)
        s = ST_NOMEM;
    if (s == ST_OK) {
        row->outcome = buf_slice(&st->outcome);
        txn_close(st, stamp, txid, row, TXN_COMMITTED);
        commit_ack(st, stamp, cmd);
        st->tally.committed++;
        commit_again(out, row);
    } else {
        st->sick = true;
        core_fail(out, s, "COMMIT");
    }
}

static void commit_open(struct state *st, const struct stamp *stamp, const struct command *cmd,
                        uint64_t txid, struct txn_row *row, struct outcome *out)
{
    if (!commit_receipts_hold(st, stamp, cmd, out))
        return;
    uint32_t n_read = commit_take_ahead(st, txid);
    struct commit_part *parts = commit_parts(&st->parts, n_read, row);
    struct slice missing = {0};
    enum status s = parts ? commit_gather(st, stamp, txid, row, parts, &n_read, &missing) : ST_NOMEM;
    if (s == ST_OK)
        commit_do(st, stamp, cmd, txid, row, parts, out);
    else
        commit_refuse(out, s, txid, missing);
    commit_unpin(&st->parts, n_read);
    buf_reset(&st->parts, PARTS_KEEP);
    buf_reset(&st->parts_bytes, PARTS_KEEP);
    buf_reset(&st->outcome, PARTS_KEEP);
}

void apply_commit(struct state *st, const struct stamp *stamp, const struct command *cmd,
                  struct outcome *out)
{
    uint64_t txid = commit_txid(cmd);
    struct txn_row row;
    enum status s = seen_txn(st, stamp, cmd, txid, &st->scratch, &row);
    if (s != ST_OK)
        txn_refuse(out, s, txid);
    else if (row.state == TXN_COMMITTED)
        commit_again(out, &row);
    else if (row.state == TXN_ROLLEDBACK)
        commit_conflict(st, out, txid, "rolled back");
    else if (st->spared && txn_is_long(&row))
        out->too_long = true;
    else
        commit_open(st, stamp, cmd, txid, &row, out);
    if (!out->too_long && st->ahead.txid == txid)
        commit_forget(st);
}

void apply_rollback(struct state *st, const struct stamp *stamp, const struct command *cmd,
                    struct outcome *out)
{
    uint64_t txid = commit_txid(cmd);
    struct txn_row row;
    enum status s = seen_txn(st, stamp, cmd, txid, &st->scratch, &row);
    if (s != ST_OK) {
        txn_refuse(out, s, txid);
        return;
    }
    if (row.state == TXN_COMMITTED) {
        commit_conflict(st, out, txid, "committed");
        return;
    }
    if (row.state != TXN_ROLLEDBACK) {
        txn_close(st, stamp, txid, &row, TXN_ROLLEDBACK);
        st->tally.rolledback++;
    }
    reply_ok(&out->reply);
}

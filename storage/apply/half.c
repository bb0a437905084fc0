/*
 * half.c: HALF: stores a message under a transaction's id, where no consumer sees it.
 *
 * Its ORDER, QUEUE, TTL, DELAY and AT are kept with it and take effect at the COMMIT. HALF n of a
 * transaction is row Y n. But the first one is in the transaction's own row, with which it is read and deleted: most
 * transactions have no other message. A large first one has row Y 0, because each ask writes the transaction's row
 * again. COMMIT answers ids in the order of the HALFs.
 */
#include "storage/apply/handlers.h"
#include "storage/apply/acl/seen.h"
#include "storage/model/dedup.h"
#include "storage/model/enqueue.h"
#include "storage/model/txn.h"
#include "storage/model/young.h"

#define HALF_INLINE_MAX KIB(4)

/* How many bytes a message counts against what a transaction may have: at least those that are stored. */
static uint64_t half_bytes(const struct message *m)
{
    uint64_t bytes = 64 + m->body.len + m->props.len + m->tag.len + m->order.len;
    for (uint32_t i = 0; i < m->n_keys; i++)
        bytes += m->keys[i].len + 2;
    return bytes;
}

/* Reads the transaction that TXN names, if m may join it. False: it may not, and that is answered. */
static bool half_join(struct state *st, const struct stamp *stamp, const struct command *cmd,
                      const struct message *m, uint64_t *ret_txid, struct txn_row *ret_row,
                      struct outcome *out)
{
    const struct option *o = command_option(cmd, OPT_ID_TXN);
    if (!text_txid(o->v, ret_txid)) {
        char text[80];
        text_quote(o->v, 60, text, sizeof(text));
        reply_error(&out->reply, ST_ERR, "TXN '%s' is not a transaction id", text);
        return false;
    }
    enum status s = seen_txn(st, stamp, cmd, *ret_txid, &st->scratch, ret_row);
    if (s != ST_OK) {
        txn_refuse(out, s, *ret_txid);
        return false;
    }
    unsigned long long id = *ret_txid;
    if (!slice_equal(ret_row->pgroup, cmd->pos[0]))
        reply_error(&out->reply, ST_ERR, "transaction %llu belongs to another producer group", id);
    else if (ret_row->state != TXN_PENDING)
        reply_error(&out->reply, ST_TXNCONFLICT, "transaction %llu is no longer open", id);
    else if (ret_row->n_messages >= TXN_MESSAGES_MAX)
        reply_error(&out->reply, ST_LIMIT, "transaction %llu is full: at most %d messages", id,
                    TXN_MESSAGES_MAX);
    else if (ret_row->bytes + half_bytes(m) > (uint64_t)stamp->policy->txn_bytes)
        reply_error(&out->reply, ST_TOOBIG, "transaction %llu would be too large: at most %lld bytes", id,
                    (long long)stamp->policy->txn_bytes);
    else
        return true;
    return false;
}

/* Stores the message, in the transaction's row or in a row of its own. In the former case row->first points into
 * st->half. */
static void half_store(struct state *st, const struct stamp *stamp, const struct command *cmd,
                       uint64_t txid, struct txn_row *row, const struct message *m)
{
    int64_t at = command_number(cmd, OPT_ID_AT, 0);
    struct half_row half = {.topic = cmd->pos[1],
                            .has_queue = command_has(cmd, OPT(QUEUE)),
                            .queue = (uint32_t)command_number(cmd, OPT_ID_QUEUE, 0),
                            .ttl_ms = command_number(cmd, OPT_ID_TTL, -1),
                            .delay_ms = command_number(cmd, OPT_ID_DELAY, 0),
                            .at_ms = at > 0 ? at : 0,
                            .base_ms = stamp->now_ms};
    buf_reset(&st->scratch2, KIB(256));
    message_encode_head(&st->scratch2, m, stamp->now_ms);
    half.message = core_row(st);
    half.body = m->body;
    buf_reset(&st->half, KIB(256));
    half_encode(&st->half, &half);
    if (row->n_messages == 0 && st->half.len + m->body.len <= HALF_INLINE_MAX) {
        buf_put_slice(&st->half, m->body);
        row->first = buf_slice(&st->half);
    } else {
        struct key key = key_txn_message(txid, row->n_messages);
        overlay_put_parts(&st->overlay, &key, buf_slice(&st->half), m->body, true);
    }
    st->sick = st->sick || st->half.failed;
    row->n_messages++;
    row->bytes += half_bytes(m);
    st->group_bytes += m->body.len + 256;
}

static void half_open(struct state *st, const struct stamp *stamp, const struct command *cmd,
                      struct txn_row *ret_row)
{
    const struct pgroup *pg = pgroup_of(st, cmd->pos[0]);
    int64_t checkin = command_number(cmd, OPT_ID_CHECKIN, pgroup_checkin(&pg->own, stamp->policy));
    *ret_row = (struct txn_row){.state = TXN_PENDING,
                                .pgroup = cmd->pos[0],
                                .created_ms = stamp->now_ms,
                                .next_check_ms = stamp->now_ms + checkin,
                                .timeout_ms = stamp->now_ms + pgroup_timeout(&pg->own, stamp->policy)};
    txn_count(st, cmd->pos[0], 1, 0);
    st->tally.halfs++;
}

static void half_rows(struct state *st, const struct stamp *stamp, uint64_t txid, struct txn_row *row)
{
    row->young = young_add(st, stamp, txid, row);
    if (!row->young)
        txn_settle(st, stamp, txid, row);
}

/* Moves the next check where a further message has CHECKIN. */
static void half_reschedule(struct state *st, const struct stamp *stamp, const struct command *cmd,
                            uint64_t txid, struct txn_row *row)
{
    if (!command_has(cmd, OPT(CHECKIN)))
        return;
    txn_move_check(st, stamp, txid, row, stamp->now_ms + command_number(cmd, OPT_ID_CHECKIN, 0));
}

void apply_half(struct state *st, const struct stamp *stamp, const struct command *cmd,
                struct outcome *out)
{
    struct arrival a;
    struct pgroup *pg = NULL;
    if (!enqueue_accept(st, stamp, cmd, cmd->pos[1], cmd->pos[2], &a, out))
        return;
    enum status s = pgroup_get(st, cmd->pos[0], &pg);
    if (s != ST_OK) {
        enqueue_refuse(out, s, cmd->pos[1]);
        return;
    }
    uint64_t txid = 0;
    struct txn_row row;
    bool joins = command_has(cmd, OPT(TXN));
    if ((joins && !half_join(st, stamp, cmd, &a.m, &txid, &row, out)) ||
        !enqueue_topic(st, stamp, cmd->pos[1], &a.topic, out))
        return;
    if (!joins) {
        half_open(st, stamp, cmd, &row);
        txid = core_next_id(st, stamp);
        half_rows(st, stamp, txid, &row);
    } else {
        half_reschedule(st, stamp, cmd, txid, &row);
    }
    half_store(st, stamp, cmd, txid, &row, &a.m);
    txn_put(st, txid, &row);
    if (a.dedup)
        dedup_half_remember(st, stamp, a.topic, a.dedup->v, txid);
    reply_bulk_uint(&out->reply, txid);
}

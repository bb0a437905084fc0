/* delivery.c: keeps the entries of POPs until their replies are sent (delivery.h). */
#include "broker/serve/delivery.h"

#include "broker/serve/giveback.h"
#include "broker/serve/session.h"
#include "protocol/base/reply.h"
#include "storage/query.h"

void delivery_keep(struct conn *c, struct entry *e, uint64_t begins)
{
    e->kept = true;
    e->begins = begins;
    e->ends = c->sent + conn_unsent(c);
    entry_push(&session_of(c)->delivering, e);
    conn_need(c, CONN_COUNTS_SENT, true);
}

void delivery_free(struct entry *e)
{
    if (!e->kept)
        entry_free(e);
}

void deliveries_sent(struct conn *c)
{
    struct entry_list *l = &session_of(c)->delivering;
    while (l->first && l->first->ends <= c->sent)
        entry_free(entry_pop(l));
}

/* Which messages of a reply are not sent. */
struct unsent {
    uint64_t sent, at; /* conn->sent; where the next token is in the output */
    struct buf *receipts;
    uint32_t n;
};

/* Adds the receipt of the next message where its end is not sent. False: there is no further one. */
static bool delivery_next(struct conn *c, struct request rq, struct cursor *cur, struct unsent *u)
{
    struct cursor begin = *cur;
    struct token t, receipt;
    if (!reply_next(cur, &t) || t.kind != TOK_MESSAGE || !reply_next(cur, &receipt))
        return false;
    for (int64_t left = 3; left > 0 && reply_next(cur, &t); left--)
        left += t.kind == TOK_ARRAY ? t.n : t.kind == TOK_MAP ? 2 * t.n : 0;
    u->at += conn_piece_size(c, rq, slice_of(begin.at, (size_t)(cur->at - begin.at)), false);
    if (u->at > u->sent) {
        buf_put_sized(u->receipts, receipt.bytes);
        u->n++;
    }
    return !cur->bad;
}

/* Finds out which messages are not sent, from the reply as it is made once more. */
static void delivery_find_unsent(struct conn *c, const struct entry *e, struct slice reply, struct unsent *u)
{
    struct request rq = session_request_of(e);
    struct cursor cur = cursor_of(reply);
    struct token array;
    if (!reply_next(&cur, &array) || array.kind != TOK_ARRAY)
        return;
    u->at += conn_piece_size(c, rq, slice_of(reply.data, (size_t)(cur.at - reply.data)), true);
    while (cursor_left(&cur) && delivery_next(c, rq, &cur, u))
        ;
}

/* Requeues the messages of a reply that was sent in part. Messages that were purged meanwhile, or cannot be read, would
 * move the others: nothing is requeued then. The view is no turn's, as connections end between two turns. */
static void delivery_give_part(struct conn *c, const struct entry *e)
{
    struct loop *l = c->loop;
    struct view *v = journal_view(l->env.journal, &l->client);
    if (!v)
        return;
    struct buf *reply = loop_reply(l), receipts;
    struct unsent u = {.sent = c->sent, .at = e->begins, .receipts = &receipts};
    struct granted done;
    buf_init(&receipts, 0);
    query_grants(v, e->cmd.pos[0], &e->out, reply, &done);
    if (!reply->failed)
        delivery_find_unsent(c, e, buf_slice(reply), &u);
    if (u.at == e->ends)
        giveback_receipts(l, e, &receipts, u.n);
    buf_free(&receipts);
    view_close(v);
}

void deliveries_give_back(struct conn *c)
{
    struct entry_list *l = &session_of(c)->delivering;
    deliveries_sent(c);
    for (struct entry *e; (e = entry_pop(l)); entry_free(e)) {
        if (e->begins < c->sent)
            delivery_give_part(c, e);
        else
            giveback_messages(c->loop, e);
    }
}

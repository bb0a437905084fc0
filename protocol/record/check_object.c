/* check_object.c: writes the object of a check-back (check_object.h). */
#include "protocol/record/check_object.h"

#include "protocol/base/reply.h"

void check_object_put_head(struct buf *r, const struct check_head *h, uint32_t n)
{
    reply_map(r, 5);
    reply_bulk_str(r, "txid");
    reply_bulk_uint(r, h->txid);
    reply_bulk_str(r, "pgroup");
    reply_bulk(r, h->pgroup);
    reply_bulk_str(r, "attempt");
    reply_int(r, h->attempt);
    reply_bulk_str(r, "created");
    reply_int(r, h->created_ms);
    reply_bulk_str(r, "messages");
    reply_array(r, n);
}

static void check_object_put_keys(struct buf *r, const struct message *m)
{
    reply_bulk_str(r, "key");
    reply_array(r, m->n_keys);
    for (uint32_t i = 0; i < m->n_keys; i++)
        reply_bulk(r, m->keys[i]);
}

void check_object_put_message(struct buf *r, struct slice topic, const struct message *m)
{
    reply_map(r, 5);
    reply_bulk_str(r, "topic");
    reply_bulk(r, topic);
    check_object_put_keys(r, m);
    reply_bulk_str(r, "tag");
    if (m->fields & MSG_TAG)
        reply_bulk(r, m->tag);
    else
        reply_null(r);
    reply_bulk_str(r, "body");
    reply_bulk(r, m->body);
    reply_bulk_str(r, "properties");
    message_reply_props(r, m);
}

void check_object_put_note(struct buf *r, uint64_t txid, uint32_t attempt)
{
    reply_map(r, CHECK_NOTE_PAIRS);
    reply_bulk_str(r, "txid");
    reply_bulk_uint(r, txid);
    reply_bulk_str(r, "attempt");
    reply_int(r, attempt);
}

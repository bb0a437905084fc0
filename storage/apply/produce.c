/*
 * produce.c: PRODUCE: a client's batch becomes a record of the log as it came.
 *
 *   command parsing   the batch is a record, each message is one that SEND would take (batch.h)
 *   here              do its messages belong to the queue? ─► a header of ours, its bytes behind it
 *
 * The first answer to a DEDUP id is kept as "topic:queue:first-last".
 */
#include "storage/apply/handlers.h"
#include "storage/model/dedup.h"
#include "storage/model/enqueue.h"
#include "storage/model/tail.h"

static void produce_answer(struct outcome *out, uint32_t queue, uint64_t base, uint64_t count)
{
    reply_map(&out->reply, 3);
    reply_field_int(&out->reply, "queue", queue);
    reply_field_int(&out->reply, "offset", (int64_t)base);
    reply_field_int(&out->reply, "count", (int64_t)count);
}

/* True where the DEDUP id (NULL: none given) is known, and its first answer, or an error, was given. */
static bool produce_again(struct state *st, const struct stamp *stamp, const struct topic *t,
                          const struct option *dedup, struct outcome *out)
{
    if (!dedup || !t)
        return false;
    buf_reset(&st->scratch, KIB(64));
    enum status s = dedup_find(st, stamp, t, DEDUP_PRODUCE, dedup->v, &st->scratch);
    if (s == ST_GONE)
        return false;
    struct message_id first;
    uint64_t last = 0;
    if (s == ST_OK && !text_id_range(buf_slice(&st->scratch), &first, &last)) {
        struct key key = key_dedup(t->id, DEDUP_PRODUCE, dedup->v);
        s = kv_damaged_row(st->kv, key_slice(&key));
    }
    if (s == ST_OK)
        produce_answer(out, first.queue, first.offset, last - first.offset + 1);
    else
        core_fail(out, s, "looking for the DEDUP id");
    return true;
}

bool produce_repeated(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out)
{
    struct topic *t = NULL;
    const struct option *dedup = command_option(cmd, OPT_ID_DEDUP);
    return dedup && topic_get(st, cmd->pos[0], &t) == ST_OK && produce_again(st, stamp, t, dedup, out);
}

/* Checks that messages with ORDER go to the queue of their key. False: one does not, and that is answered. */
static bool produce_order_ok(const struct topic *t, const struct command *cmd, const uint32_t *queue,
                             struct outcome *out)
{
    if (!(cmd->batch.fields & MSG_ORDER))
        return true;
    uint32_t order_queues = t ? t->order_queues : QUEUES_DEFAULT;
    struct record_header h;
    enum status s = record_header_read(cmd->pos[1], &h);
    for (uint32_t i = 0; s == ST_OK && i < h.count; i++) {
        struct message m;
        s = message_decode(record_bytes(cmd->pos[1], &h, i), 0, &m);
        if (s != ST_OK || !(m.fields & MSG_ORDER))
            continue;
        uint32_t belongs = (uint32_t)(text_hash(m.order) % order_queues);
        if (queue && *queue == belongs)
            continue;
        reply_error(&out->reply, ST_ERR,
                    "message %u of the batch belongs to queue %u by its ORDER: send it with QUEUE %u", i,
                    belongs, belongs);
        return false;
    }
    assert(s == ST_OK); /* command parsing has checked it */
    return true;
}

static void produce_remember(struct state *st, const struct stamp *stamp, const struct topic *t,
                             const struct option *dedup, uint32_t queue, uint64_t base, uint32_t count)
{
    buf_reset(&st->scratch, KIB(64));
    text_put_id(&st->scratch, t->name, queue, base);
    buf_put_u8(&st->scratch, '-');
    buf_put_uint(&st->scratch, base + count - 1);
    dedup_remember(st, stamp, t, DEDUP_PRODUCE, dedup->v, &st->scratch);
}

void apply_produce(struct state *st, const struct stamp *stamp, const struct command *cmd,
                   struct outcome *out)
{
    struct topic *t = NULL;
    enum status s = topic_find(st, stamp, cmd->pos[0], &t);
    if (s != ST_OK) {
        enqueue_refuse(out, s, cmd->pos[0]);
        return;
    }
    const struct option *dedup = command_option(cmd, OPT_ID_DEDUP);
    uint32_t queue = 0;
    const uint32_t *wanted = NULL;
    if (produce_again(st, stamp, t, dedup, out) || !enqueue_queue_ok(t, cmd, &queue, &wanted, out) ||
        !produce_order_ok(t, cmd, wanted, out) || !enqueue_topic(st, stamp, cmd->pos[0], &t, out))
        return;
    struct message any = {0};
    queue = topic_route(t, &any, wanted);
    uint64_t base = 0;
    s = tail_append_batch(st, stamp->now_ms, t, queue, cmd->pos[1], &cmd->batch, &base);
    if (s != ST_OK) {
        core_fail(out, s, "storing the batch");
        return;
    }
    produce_answer(out, queue, base, cmd->batch.count);
    if (dedup)
        produce_remember(st, stamp, t, dedup, queue, base, cmd->batch.count);
}

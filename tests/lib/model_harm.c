/* model_harm.c: overwrites records and rows of the directory with bytes that make no sense (model_harm.h). */
#include "tests/lib/model_harm.h"

#include <stdio.h>

#include "storage/disk/records.h"
#include "storage/model/topic.h"

/* Finds the record of a message. *ret_topic: the id of its topic. */
static void harm_find(struct shell *s, int topic, int queue, uint32_t offset, uint64_t *ret_topic, enum kv_family *ret_f,
                      struct record_header *ret_h)
{
    char name[8];
    struct topic *t = NULL;
    int n = snprintf(name, sizeof(name), "t%d", topic);
    bool found = topic_get(s->st, slice_of(name, (size_t)n), &t) == ST_OK;
    if (!found)
        model_complain("a topic cannot be read");
    *ret_topic = t->id;
    *ret_f = records_family(t->compress);
    struct kv_iter *it = records_iter(s->st->kv, NULL, t->compress, t->id, (uint32_t)queue);
    if (!it || records_seek_on(it, t->id, (uint32_t)queue, offset, ret_h) != ST_OK)
        model_complain("a record cannot be found");
    kv_iter_free(it);
}

void model_harm(struct model *m, struct shell *s, struct prng *p)
{
    int t = (int)prng_below(p, M_TOPICS), q = (int)prng_below(p, M_QUEUES);
    struct m_queue *mq = &m->topics[t].queues[q];
    if (!m->topics[t].there || mq->floor == mq->end)
        return;
    uint32_t offset = mq->floor + (uint32_t)prng_below(p, mq->end - mq->floor);
    if (mq->messages[offset].harm != M_WHOLE)
        return;
    uint64_t id = 0;
    enum kv_family f = KV_STATE;
    struct record_header h = {.count = 0};
    harm_find(s, t, q, offset, &id, &f, &h);
    enum m_harm harm = prng_below(p, 2) ? M_LOST : M_ROW;
    struct key record = key_log(id, (uint32_t)q, h.base), row = key_directory(id, (uint32_t)q, h.base);
    if (harm == M_LOST)
        kv_put(s->st->kv, f, key_slice(&record), SLICE_LIT("no record"));
    else
        kv_put(s->st->kv, KV_STATE, key_slice(&row), SLICE_LIT("no row"));
    if (kv_write(s->st->kv, true, s->err, sizeof(s->err)) != ST_OK)
        model_complain("the damage was not written");
    m->topics[t].harmed = true;
    for (uint64_t o = h.base; o < h.base + h.count && o < M_OFFSETS; o++)
        mq->messages[o].harm = harm;
}

bool model_harm_read(struct shell *s, struct prng *p)
{
    static const enum kv_op ops[] = {KV_OP_GET, KV_OP_ITER, KV_OP_GET_DAMAGE, KV_OP_ITER_DAMAGE};
    enum kv_op op = ops[prng_below(p, 4)];
    kv_fault(s->st->kv, op, 1 + (int)prng_below(p, 4));
    return op >= KV_OP_GET_DAMAGE;
}

void model_harm_over(struct shell *s)
{
    for (int op = 0; op < KV_OPS; op++)
        kv_fault(s->st->kv, (enum kv_op)op, 0);
}

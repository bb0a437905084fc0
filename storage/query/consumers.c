/* consumers.c: adds up leases by the connection that has them (consumers.h). */
#include "storage/query/consumers.h"

#include "protocol/base/reply.h"
#include "storage/disk/rows.h"

struct consumer {
    uint64_t holder, leased;
    int64_t until_ms; /* when its last lease ends */
};

struct consumers {
    struct consumer all[CONSUMERS_MAX];
    uint32_t n;
};

static uint64_t consumers_live(const struct run_row *run)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < (run->count + 63) / 64; i++)
        n += (uint64_t)__builtin_popcountll(run->bits[i]);
    return n;
}

static void consumers_add(struct consumers *c, const struct run_row *run)
{
    uint32_t i = 0;
    while (i < c->n && c->all[i].holder != run->holder)
        i++;
    if (i == CONSUMERS_MAX)
        return;
    if (i == c->n)
        c->all[c->n++] = (struct consumer){.holder = run->holder};
    c->all[i].leased += consumers_live(run);
    if (run->due_ms > c->all[i].until_ms)
        c->all[i].until_ms = run->due_ms;
}

static enum status consumers_read(struct view *v, uint64_t gt, struct consumers *c)
{
    struct key from = key_of_id('R', gt), to = key_after(&from);
    struct kv_iter *it = kv_iter_new(v->kv, KV_STATE, v->snap, key_slice(&from), key_slice(&to));
    enum status s = it ? ST_OK : ST_NOMEM;
    struct run_row run;
    if (it)
        kv_iter_first(it);
    for (uint32_t n = 0; s == ST_OK && n < CONSUMERS_RUNS_MAX && kv_iter_valid(it); n++, kv_iter_next(it)) {
        v->budget--;
        if (run_decode(kv_iter_value(it), &run) != ST_OK)
            s = kv_damaged_row(v->kv, kv_iter_key(it));
        else if (run.due_ms > v->now_ms)
            consumers_add(c, &run);
    }
    if (s == ST_OK)
        s = kv_iter_status(it);
    kv_iter_free(it);
    return s;
}

/* There is one user as yet. */
static void consumers_put_facts(struct buf *r, const struct query_client *who)
{
    reply_bulk_str(r, "user");
    if (who->there)
        reply_bulk_str(r, "default");
    else
        reply_null(r);
    reply_bulk_str(r, "name");
    if (who->there)
        reply_bulk_str(r, who->name);
    else
        reply_null(r);
    reply_bulk_str(r, "last_seen");
    if (who->there)
        reply_int(r, who->seen_ms);
    else
        reply_null(r);
}

enum status consumers_put(struct view *v, uint64_t gt, struct buf *r, uint64_t *ret_leased)
{
    struct consumers c = {.n = 0};
    enum status s = consumers_read(v, gt, &c);
    if (s != ST_OK)
        return s;
    struct query_client facts[CONSUMERS_MAX] = {{.id = 0}};
    *ret_leased = 0;
    for (uint32_t i = 0; i < c.n; i++) {
        facts[i].id = c.all[i].holder;
        *ret_leased += c.all[i].leased;
    }
    if (v->clients && c.n)
        v->clients(v->clients_arg, facts, c.n);
    reply_array(r, c.n);
    for (uint32_t i = 0; i < c.n; i++) {
        reply_map(r, 6);
        reply_field_int(r, "connection", (int64_t)c.all[i].holder);
        consumers_put_facts(r, &facts[i]);
        reply_field_int(r, "leased", (int64_t)c.all[i].leased);
        reply_field_int(r, "lease_until", c.all[i].until_ms);
    }
    return ST_OK;
}

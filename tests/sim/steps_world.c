/* steps_world.c: the steps that change what is around the transactions: topics, settings, time, crashes. */
#include "tests/sim/steps.h"

#include <stdio.h>
#include <string.h>

static bool is(const char *said, const char *want)
{
    return strcmp(said, want) == 0;
}

/* ---- topics ---- */

static void topic_delete(int t)
{
    must(is(world_do("TOPIC DELETE t%d", t), w.o.topics[t].there ? "OK" : "-NOTOPIC"),
         "TOPIC DELETE was answered otherwise");
    oracle_topic_deleted(&w.o, t);
}

void step_topic(void)
{
    static const char *const compress[] = {"none", "lz4", "zstd"};
    int t = below(O_TOPICS), queues = 1 + below(O_QUEUES);
    if (w.o.topics[t].there && below(3) == 0) {
        topic_delete(t);
        return;
    }
    must(is(world_do("TOPIC CREATE t%d QUEUES %d COMPRESS %s", t, queues, compress[queues % 3]),
            w.o.topics[t].there ? "-EXISTS" : "OK"),
         "TOPIC CREATE was answered otherwise");
    if (!w.o.topics[t].there)
        oracle_topic_made(&w.o, t, (uint32_t)queues);
}

/* Makes room in the oracle's queues for one more step, except for a large batch (step_produce). */
static void make_room(void)
{
    for (int t = 0; t < O_TOPICS; t++)
        for (int q = 0; q < O_QUEUES; q++)
            if (w.o.topics[t].there && w.o.queues[t][q].end > O_OFFSETS - O_STEP_MAX)
                topic_delete(t);
}

/* ---- settings ---- */

static int64_t one_of(const int64_t *values, uint64_t n)
{
    return values[below(n)];
}

static void any_setting(int which)
{
    static const int64_t checkins[] = {1, 60, 700, 1000, 1500, 6000};
    static const int64_t pauses[] = {1, 40, 900, 30000, 1000000};
    static const int64_t timeouts[] = {300, 1000, 2500, 40000, 86400000};
    static const int64_t keeps[] = {1000, 15000, 604800000};
    struct policy *p = &w.s.policy;
    switch (which) {
    case 0: p->checkin_ms = one_of(checkins, 6); break;
    case 1: p->check_every_ms = one_of(pauses, 5); break;
    case 2: p->check_max = 1 + (uint32_t)below(4); break;
    case 3: p->txn_timeout_ms = one_of(timeouts, 5); break;
    case 4: p->txn_outcome_retention_ms = one_of(keeps, 3); break;
    default: p->auto_create_topics = below(4) > 0;
    }
}

/* Sets or deletes settings of a producer group. */
void step_pgroup(void)
{
    int g = below(O_PGROUPS);
    struct o_pgroup *own = &w.o.pgroups[g];
    if (below(4) == 0) {
        must(is(world_do("PGROUP DELETE p%d", g), "OK"), "PGROUP DELETE was refused");
        *own = (struct o_pgroup){0};
        return;
    }
    if (below(2)) {
        own->checkin_ms = 1 + below(2000);
        own->check_every_ms = 1 + below(1000);
        own->timeout_ms = below(2) ? 1 + below(3000) : 86400000;
        must(is(world_do("PGROUP SET p%d CHECKIN %lld CHECKEVERY %lld TIMEOUT %lld", g, (long long)own->checkin_ms,
                         (long long)own->check_every_ms, (long long)own->timeout_ms), "OK"),
             "PGROUP SET was refused");
    } else {
        own->check_max = 1 + (uint32_t)below(4);
        must(is(world_do("PGROUP SET p%d CHECKMAX %u", g, own->check_max), "OK"), "PGROUP SET was refused");
    }
}

void step_cancel(void)
{
    if (w.o.n_delayed == 0)
        return;
    struct o_delayed *d = &w.o.delayed[below(w.o.n_delayed)];
    must(is(world_do("DELAYED CANCEL @%llu", (unsigned long long)d->token), d->there ? "1" : "0"),
         "DELAYED CANCEL was answered otherwise");
    d->there = false;
}

void steps_settings(void)
{
    for (int i = 0; i < 5; i++)
        any_setting(i);
    w.s.policy.dedup_window_ms = 5000;
}

void step_setting(void)
{
    world_write(); /* settings change between commit groups */
    any_setting(below(3) ? below(6) : 2);
    const struct policy *p = &w.s.policy;
    world_note("-- checkin %lld, check_every %lld, check_max %u, txn_timeout %lld, retention %lld%s",
               (long long)p->checkin_ms, (long long)p->check_every_ms, p->check_max,
               (long long)p->txn_timeout_ms, (long long)p->txn_outcome_retention_ms,
               p->auto_create_topics ? "" : ", no auto_create_topics");
}

/* ---- the journal ---- */

void step_write(void)
{
    world_write();
}

void step_tick(void)
{
    world_tick();
}

/* The time until just before, at or after something is due, to find errors of one millisecond. */
static int64_t to_next_event(void)
{
    int64_t at = w.next_due_ms;
    if (w.o.n_txns && below(4)) {
        const struct o_txn *x = &w.o.txns[below(w.o.n_txns)];
        at = below(2) ? x->next_ms : x->timeout_ms;
        if (!oracle_open(x))
            at = x->decided_ms + w.s.policy.txn_outcome_retention_ms;
    }
    int64_t ms = at - w.o.now_ms + below(3) - 1;
    return ms > 0 ? ms : below(3);
}

void step_pass(void)
{
    int kind = below(20);
    int64_t ms = kind < 7 ? below(40) : kind < 12 ? below(700) : kind < 17 ? to_next_event() : below(60000);
    if (kind == 19 && below(4) == 0)
        ms = (int64_t)below(100) * 3600000;
    world_pass(ms, 0);
    if (below(4))
        world_settle();
    if (kind == 0)
        audit(false);
}

void step_clock(void)
{
    int64_t hour = 3600000;
    world_pass(below(100), below(3) ? -hour : (int64_t)below(2) * hour);
    if (below(2))
        world_settle();
}

void step_crash(void)
{
    world_crash();
    if (below(2))
        world_settle();
}

void step_restart(void)
{
    world_restart();
    if (below(2))
        audit(false);
}

void step_reload(void)
{
    world_reload();
    if (below(2))
        audit(false);
}

void step_cut(void)
{
    world_cut();
    audit(false);
}

void step_sync(void)
{
    world_write();
    world_sync();
}

void step_compact(void)
{
    world_write();
    world_tick(); /* the store learns the time and the settings from commands */
    world_sync();
    world_note("-- compacted");
    kv_compact(w.s.st->kv, KV_STATE);
    kv_compact(w.s.st->kv, KV_STATE); /* the first one may have run at the same time as one of RocksDB's own */
    world_sync();
    audit(true);
}

void step_look(void)
{
    world_write();
    audit(false);
}

/* Reads one more page of a TXN LIST that goes on while other steps change transactions. */
void step_list(void)
{
    world_write();
    if (!w.listing.on)
        listing_begin(&w.listing);
    listing_page(&w.listing);
}

/* ---- any ---- */

static const struct {
    const char *name;
    void (*run)(void);
} steps[] = {
#define STEP(name, weight) {#name, step_##name},
#include "tests/sim/steps.def"
#undef STEP
};

void step_any(int op)
{
    make_room();
    w.doing = steps[op].name;
    steps[op].run();
}

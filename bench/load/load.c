/* load.c: begins and ends what a load shares, and keeps its budget of messages. */
#include "bench/load/load.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/base/mono.h"
#include "bench/wire/dialect_redis.h"
#include "bench/wire/dialects.h"

bool load_init(struct load *load, const struct options *o, enum mode mode, bool redis, unsigned n_workers)
{
    memset(load, 0, sizeof *load);
    load->o = o;
    load->mode = mode;
    load->dialect = redis ? &dialect_redis : dialect_find(o->dialect);
    load->topic = slice_str(o->topic);
    load->group = slice_str(o->group);
    load->pgroup = slice_str(o->pgroup);
    /* The messages of another run in the same topic must not be taken for ours, and it may have the same seed. */
    struct chance c = chance_from(o->seed ^ (uint64_t)mono_ns(), (uint64_t)getpid());
    load->id = (uint32_t)chance_next(&c);
    atomic_store(&load->budget, o->messages ? (int64_t)o->messages : INT64_MAX / 2);
    troubles_init(&load->troubles);
    sem_init(&load->ended, 0, 0);
    uint64_t most = dist_max(&o->size);
    bool ok = series_init(&load->series, n_workers);
    ok = body_pool_init(&load->pool, o->body_kind, most ? most : 1, o->seed) && ok;
    return keys_init(&load->keys, &o->keys, (uint32_t)o->key_count) && ok;
}

void load_fini(struct load *load)
{
    body_pool_fini(&load->pool);
    keys_fini(&load->keys);
    series_fini(&load->series);
    troubles_fini(&load->troubles);
    sem_destroy(&load->ended);
}

uint32_t load_claim(struct load *load, uint32_t n, int64_t intended_ns)
{
    if (intended_ns >= load->stop_ns)
        return 0;
    if (!load_measures(load, intended_ns))
        return n;
    int64_t had = atomic_fetch_sub(&load->budget, n);
    if (had >= (int64_t)n)
        return n;
    uint32_t got = had > 0 ? (uint32_t)had : 0;
    atomic_fetch_add(&load->budget, (int64_t)n - got);
    return got;
}

void load_unclaim(struct load *load, uint32_t n)
{
    atomic_fetch_add(&load->budget, n);
}

void load_fail(struct load *load, const char *fmt, ...)
{
    char text[TROUBLE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    troubles_fatal(&load->troubles, text);
    atomic_store(&load->abort, true);
}

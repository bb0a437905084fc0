/*
 * state.c: loads and drops the state, applies commands and writes groups (state.h).
 *
 *   state_write   tails → records        (tail_flush)
 *                 dirty groups → rows    (group_flush)
 *                 overlay → rows         (overlay_flush)
 *                 meta: index, stamp     ──► one batch, one record of the log, one sync   (state_log)
 *                                        ──► RocksDB                                      (state_settle)
 */
#include "storage/state.h"

#include <stdio.h>
#include <stdlib.h>

#include "storage/apply/apply.h"
#include "storage/group/gone.h"
#include "storage/group/group.h"
#include "storage/model/log_columns.h"
#include "storage/model/pgroup.h"
#include "storage/disk/batch/kv_parts.h"
#include "storage/disk/meta.h"
#include "storage/model/txn.h"
#include "storage/model/young.h"
#include "storage/model/tail.h"
#include "storage/group/unload.h"
#include "storage/group/waiting.h"

#define GROUP_BYTES_MAX MIB(8)
#define SYNC_AT_LAST_MS 60000

static void state_begin_group(struct state *st)
{
    st->group++;
    st->group_index = 0;
    st->seq = 0;
    st->group_bytes = 0;
    st->group_commands = st->group_settled = 0;
    st->meta_dirty = false;
    timers_begin_group(st);
    pgroups_forget(st);
    log_columns_begin_group(st);
    st->gone_left = GONE_GTS_MAX;
    st->lru.grown = 0;
    st->fx.n_keys = 0;
    st->fx.overflow = false;
    st->fx.pgroups_changed = false;
    st->fx.users_changed = false;
}

static void state_show_gauges(struct state *st)
{
    st->tally.pending = st->meta.pending;
    st->tally.parked = st->meta.parked;
    st->tally.delayed = st->meta.delayed;
}

static struct state *state_new(void)
{
    struct state *st = calloc(1, sizeof(*st));
    if (!st)
        return NULL;
    st->open_tails_end = &st->open_tails;
    st->dirty_gts_end = &st->dirty_gts;
    buf_init(&st->scratch, REQUEST_BYTES_MAX);
    buf_init(&st->scratch2, REQUEST_BYTES_MAX + MIB(1));
    buf_init(&st->props, REQUEST_BYTES_MAX + RECORD_BYTES_MAX);
    buf_init(&st->half, REQUEST_BYTES_MAX + MIB(1));
    buf_init(&st->parts, 0);
    buf_init(&st->parts_bytes, REQUEST_BYTES_MAX + MIB(1));
    buf_init(&st->ahead.parts, 0);
    buf_init(&st->ahead.bytes, REQUEST_BYTES_MAX + MIB(1));
    buf_init(&st->outcome, MIB(1));
    buf_init(&st->heads, MIB(4));
    sifts_init(&st->sifts);
    log_columns_init(st);
    st->wait_window = WAIT_WINDOW_RUNS;
    return st;
}

/* Reads what must be there from the start; all else is read when a command first touches it. */
static enum status state_read(struct state *st, const struct store *store, char *err, size_t err_size)
{
    enum status s = meta_read(st->kv, store->path, &st->meta, err, err_size);
    if (s != ST_OK)
        return s;
    s = overlay_init(&st->overlay, st->kv);
    if (s == ST_OK)
        s = overlay_init(&st->columns.fresh, st->kv);
    if (s != ST_OK) {
        snprintf(err, err_size, "no memory to open %s", store->path);
        return s;
    }
    s = young_load(st);
    if (s != ST_OK)
        snprintf(err, err_size, "the store in %s is damaged: its open transactions cannot be read. " DAMAGE_WHAT_TO_DO,
                 store->path);
    return s;
}

enum status state_load(struct store *store, struct state **ret_state, char *err, size_t err_size)
{
    struct state *st = state_new();
    if (!st) {
        snprintf(err, err_size, "no memory to open %s", store->path);
        return ST_NOMEM;
    }
    size_t memory = store->memory_bytes;
    st->kv = st->finder.kv = store->kv;
    st->lru.bytes_max = memory / 8;
    st->young.bytes_max = memory / 32;
    /* A group is in memory three times: as commands, as records and as the batch. */
    st->group_bytes_max = memory / 8 < GROUP_BYTES_MAX ? memory / 8 : GROUP_BYTES_MAX;
    enum status s = state_read(st, store, err, err_size);
    if (s != ST_OK) {
        state_drop(st);
        return s;
    }
    state_show_gauges(st);
    st->last_index = st->meta.index;
    st->now_ms = st->synced_ms = st->meta.now_ms;
    state_begin_group(st);
    *ret_state = st;
    return ST_OK;
}

static void state_free_tables(struct state *st)
{
    groups_free(st);
    cgroups_free(st);
    for (struct hash_node *node = hash_walk(&st->topics, NULL), *next; node; node = next) {
        next = hash_walk(&st->topics, node);
        topic_free((struct topic *)node);
    }
    pgroups_free(st);
    hash_free(&st->topics);
}

void state_drop(struct state *st)
{
    if (!st)
        return;
    state_free_tables(st);
    tail_free_all(st->open_tails);
    tail_free_all(st->spare_tails);
    overlay_fini(&st->overlay);
    buf_free(&st->scratch);
    buf_free(&st->scratch2);
    buf_free(&st->props);
    buf_free(&st->half);
    buf_free(&st->heads);
    sifts_free(&st->sifts);
    log_columns_fini(st);
    finder_free(&st->finder);
    buf_free(&st->parts);
    buf_free(&st->parts_bytes);
    apply_forget_ahead(st);
    buf_free(&st->outcome);
    young_fini(st);
    kv_clear(st->kv); /* drops the open group's rows */
    free(st);
}

void state_last(const struct state *st, uint64_t *ret_index, int64_t *ret_now_ms)
{
    *ret_index = st->last_index;
    *ret_now_ms = st->now_ms;
}

uint64_t state_holders(const struct state *st)
{
    return st->meta.holders;
}

void state_apply(struct state *st, const struct stamp *stamp, const struct command *cmd,
                 struct outcome *out)
{
    assert(!st->logged);
    assert(stamp->index > st->last_index && stamp->now_ms >= st->now_ms);
    /* A record has one stored time, so all commands of a group have. */
    assert(st->group_commands == 0 || stamp->now_ms == st->now_ms);
    if (st->group_commands == 0 && lru_over(&st->lru))
        unload_some(st);
    if (st->group_index == 0)
        st->group_index = stamp->index;
    st->last_index = stamp->index;
    st->now_ms = stamp->now_ms;
    st->group_commands++;
    if (st->sick) { /* the group will not be written, so nothing more is done in it */
        core_fail(out, ST_IO, cmd->info->words);
        return;
    }
    st->keep_ms = stamp->policy->txn_outcome_retention_ms;
    core_work_begin(st, WORK_ROWS_MAX, WORK_BYTES_MAX);
    if (!young_none(st))
        txn_tick_young(st, stamp);
    apply_command(st, stamp, cmd, out);
    /* The command may be done, but cannot be answered; or another store with the same rows could have done it. */
    st->sick = st->sick || out->reply.failed || out->no_memory;
}

void state_spare(struct state *st, bool on)
{
    st->spared = on;
}

enum status state_part(struct state *st, struct slice bytes, size_t whole, bool sync, char *err, size_t err_size)
{
    assert(!kv_pending(st->kv));
    enum status s = kv_parts_write(kv_parts(st->kv), bytes, whole, sync, err, err_size);
    st->sick = st->sick || (s != ST_OK && s != ST_BUSY);
    return s;
}

void state_parts_end(struct state *st)
{
    kv_parts_end(kv_parts(st->kv));
}

enum status state_ahead(struct state *st, const struct policy *policy, const struct command *cmd, size_t *large)
{
    assert(!kv_pending(st->kv));
    const struct stamp stamp = {.index = st->last_index, .now_ms = st->now_ms, .policy = policy};
    return apply_ahead(st, &stamp, cmd, large);
}

bool state_ahead_any(const struct state *st)
{
    return st->ahead.txid != 0;
}

void state_need(struct state *st, const struct policy *policy, const struct command *cmd, struct need *need)
{
    assert(!kv_pending(st->kv));
    const struct stamp stamp = {.index = st->last_index, .now_ms = st->now_ms, .policy = policy};
    apply_need(st, &stamp, cmd, need);
}

void state_reserve_ahead(struct state *st, size_t bytes)
{
    kv_reserve_ahead(st->kv, bytes);
}

void state_reserve(struct state *st)
{
    kv_reserve(st->kv, kv_reserved_ahead(st->kv));
}

bool state_repeated(struct state *st, const struct stamp *stamp, const struct command *cmd, struct outcome *out)
{
    return !st->sick && apply_repeated(st, stamp, cmd, out) && !out->reply.failed;
}

size_t state_group_bytes(const struct state *st)
{
    return core_size(st);
}

bool state_group_full(const struct state *st)
{
    return core_full(st) || st->lru.grown > st->lru.bytes_max;
}

static void state_put_meta(struct state *st)
{
    st->meta.index = st->last_index;
    st->meta.now_ms = st->now_ms;
    st->meta.young = young_floor(st);
    buf_reset(&st->scratch2, KIB(64));
    meta_encode(&st->scratch2, &st->meta);
    struct key key = key_meta();
    core_put(st, &key, core_row(st));
    kv_number(st->kv, st->last_index);
}

/* Tells compactions which rows may be stale after this group. Only after a group with commands: before the first one
 * the settings are not known. While young transactions wait to be settled, the mark's time stops at the first of
 * them: if the outcomes of those decided since were dropped, their young rows would be valid again after a crash. */
static void state_mark(struct state *st, bool synced)
{
    int64_t settle_ms = young_due_ms(st);
    struct kv_mark mark = {.now_ms = settle_ms < st->now_ms ? settle_ms : st->now_ms,
                           .keep_ms = st->keep_ms,
                           .floor = st->meta.young,
                           .hidden_from = st->meta.hidden_from,
                           .hidden_to = st->meta.hidden_to};
    kv_set_mark(st->kv, &mark, synced);
    if (synced)
        st->synced_ms = st->now_ms;
}

/* A broker without writes writes its own row once in a while, so that compactions are told the time: the rows that have
 * turned stale meanwhile would stay for ever. */
static bool state_is_behind(const struct state *st)
{
    bool is_new = st->meta.index == 0; /* nothing can be stale in it, and a command that is refused leaves nothing */
    return !is_new && st->group_commands > 0 && st->now_ms - st->meta.now_ms >= SYNC_AT_LAST_MS;
}

/* With fsync=never nobody else syncs, and compactions would never be told a new mark. */
static enum status state_sync_at_last(struct state *st, char *err, size_t err_size)
{
    if (st->now_ms - st->synced_ms < SYNC_AT_LAST_MS)
        return ST_OK;
    st->synced_ms = st->now_ms;
    return kv_sync(st->kv, err, err_size);
}

enum status state_log(struct state *st, bool sync, struct effects *fx, char *err, size_t err_size)
{
    tail_flush(st, NULL);
    topics_save(st);
    pgroups_save(st);
    group_flush(st);
    cgroups_save(st);
    st->sick = st->sick || st->overlay.failed;
    overlay_flush(&st->overlay);
    finder_close(&st->finder);
    bool changed = kv_pending(st->kv) || st->meta_dirty || state_is_behind(st);
    if (changed)
        state_put_meta(st);
    if (st->sick) {
        snprintf(err, err_size, "memory ran out, or the store failed, in the middle of a command");
        return ST_IO;
    }
    if (changed) {
        enum status s = kv_log(st->kv, sync, err, err_size);
        if (s != ST_OK) {
            st->sick = true;
            return s;
        }
        st->logged = true;
    }
    if (st->group_commands > 0)
        state_mark(st, sync && changed);
    if (changed && state_sync_at_last(st, err, err_size) != ST_OK) {
        st->sick = true;
        return ST_IO;
    }
    st->fx.index = st->last_index;
    st->fx.now_ms = st->now_ms;
    st->fx.written = changed;
    int64_t settle_ms = young_due_ms(st), due_ms = timers_next_ms(st);
    st->fx.next_due_ms = settle_ms < due_ms ? settle_ms : due_ms;
    fx->index = st->fx.index;
    fx->now_ms = st->fx.now_ms;
    fx->written = changed;
    fx->next_due_ms = st->fx.next_due_ms;
    fx->overflow = st->fx.overflow;
    fx->pgroups_changed = st->fx.pgroups_changed;
    fx->users_changed = st->fx.users_changed;
    fx->n_keys = st->fx.n_keys;
    memcpy(fx->keys, st->fx.keys, st->fx.n_keys * sizeof(fx->keys[0]));
    memcpy(fx->counts, st->fx.counts, st->fx.n_keys * sizeof(fx->counts[0]));
    state_show_gauges(st);
    state_begin_group(st);
    return ST_OK;
}

enum status state_settle(struct state *st, char *err, size_t err_size)
{
    if (!st->logged)
        return ST_OK;
    enum status s = kv_settle(st->kv, err, err_size);
    if (s == ST_DISKFULL)
        return s;
    st->logged = false;
    st->sick = st->sick || s != ST_OK;
    return s;
}

enum status state_write(struct state *st, bool sync, struct effects *fx, char *err, size_t err_size)
{
    enum status s = state_log(st, sync, fx, err, err_size);
    return s == ST_OK ? state_settle(st, err, err_size) : s;
}

const struct tally *state_tally(const struct state *st)
{
    return &st->tally;
}

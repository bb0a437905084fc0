/*
 * wal_replay.c: reads the log at the start: hands its batches to the store, and finds out where it ends.
 *
 *   files by serial:   [ all in the store's files ][ begins at or before `after` ][ ... ][ last ]
 *                            spare                    its records behind `after` are taken
 *
 *   a file ends where the next one begins: at that one's `before`; what it has behind that was judged by an earlier
 *   start not to be there, and stays so
 *
 * Where the next record is not sound, the rest is looked through (wal_judge.h):
 *
 *   the next sound record follows what the store has anyway ──► go on there; the log says what was skipped
 *   nothing behind it was acknowledged as synced            ──► the log ends here; later files are set aside
 *   something was                                           ──► the start is refused, and nothing was changed; with
 *                                                               --salvage it goes on without that (wal_salvage.h)
 *
 * What was taken is not written again in place, since a block that is written may be destroyed: the store is asked to
 * flush, and the next record begins a file of its own.
 */
#include "broker/wal/wal_replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/base/log.h"
#include "broker/wal/wal_find.h"
#include "broker/wal/wal_judge.h"
#include "broker/wal/wal_note.h"
#include "broker/wal/wal_salvage.h"
#include "broker/wal/wal_seen.h"
#include "broker/wal/wal_turn.h"
#include "protocol/limits.h"

#define TELL_NS INT64_C(1000000000)

struct replay {
    struct wal *w;
    const struct wal_file *file; /* that is read, ... */
    struct slice all;            /* ... and what it has: where the parts of its batches are */
    uint64_t after, last; /* the last batch that the store has; the last one that is there */
    redo_take_fn *take;
    void *arg;
    uint64_t taken;
    uint64_t named; /* the highest serial that a file names as the next one */
    bool refused;   /* take failed, and has put the reason into err */
    uint64_t bytes;  /* of the files before this one */
    uint64_t skipped; /* damaged places, of which the store has what was there */
    struct wal_note end; /* where the log goes no further */
    int64_t told_ns; /* when the log said last how far this is; INT64_MAX: it does not */
    bool ended;     /* there is nothing behind `last` that can be taken */
    struct wal_judge judge;
};

/* Says once a second how far the replay is: at `at` of a file. */
static void wal_replay_progress(struct replay *r, size_t at)
{
    uint64_t done = r->bytes + at;
    atomic_store(&r->w->replayed_bytes, done);
    int64_t now_ns = clock_mono_ns();
    if (r->told_ns == INT64_MAX || now_ns - r->told_ns < TELL_NS)
        return;
    r->told_ns = now_ns;
    log_event(LOG_INFO, "replaying the log", " mib=%llu of_mib=%llu groups=%llu", (unsigned long long)(done / MIB(1)),
              (unsigned long long)(atomic_load(&r->w->to_replay_bytes) / MIB(1)), (unsigned long long)r->taken);
}

static uint64_t wal_replay_has(const struct replay *r)
{
    return r->last > r->after ? r->last : r->after;
}

static enum status wal_replay_part(const void *self, uint64_t at, struct slice *ret_bytes)
{
    const struct replay *r = self;
    struct wal_record record;
    if (!wal_record_at(&r->file->use, r->all, (size_t)at, &record) || record.kind != WAL_PART || !record.whole)
        return ST_DAMAGED;
    *ret_bytes = record.batch;
    return ST_OK;
}

static enum status wal_replay_take(struct replay *r, const struct wal_record *record)
{
    r->last = record->number;
    if (record->number <= r->after)
        return ST_OK;
    const struct redo_parts parts = {.self = r, .read = wal_replay_part};
    enum status s = r->take(r->arg, record->batch, &parts);
    r->refused = s != ST_OK;
    r->taken++;
    return s;
}

static bool wal_replay_follows(const struct wal_record *record, uint64_t last)
{
    return record->whole && (record->kind == WAL_END || record->before == last);
}

/* The record behind `last` at *at, or at the next block where that was synced. */
static bool wal_replay_next(const struct wal_file *f, struct slice all, size_t *at, uint64_t last,
                            struct wal_record *ret_record)
{
    if (wal_record_at(&f->use, all, *at, ret_record) && wal_replay_follows(ret_record, last))
        return true;
    size_t block = wal_block_up(*at);
    if (!wal_record_at(&f->use, all, block, ret_record) || !wal_replay_follows(ret_record, last))
        return false;
    *at = block;
    return true;
}

static void wal_replay_tell_skipped(struct replay *r, const struct wal_file *f, size_t at, uint64_t to)
{
    r->skipped += to > r->last;
    if (to > r->last)
        log_event(LOG_ERROR, "the log has a damaged place; the store has what was there",
                  " file=%08llu.wal byte=%zu commands=%llu-%llu", (unsigned long long)f->name, at,
                  (unsigned long long)r->last + 1, (unsigned long long)to);
}

/* The next sound record behind a bad place, if the store has everything that is missing before it. */
static bool wal_replay_skip(struct replay *r, const struct wal_file *f, struct slice all, size_t *at,
                            struct wal_record *ret_record)
{
    size_t from = *at;
    bool found = false;
    while (!found && wal_record_find(&f->use, all, &from, ret_record)) {
        found = ret_record->whole && ret_record->kind == WAL_BATCH && ret_record->number > r->last;
        from += found ? 0 : 8;
    }
    if (!found || ret_record->before > wal_replay_has(r))
        return false;
    wal_replay_tell_skipped(r, f, *at, ret_record->before);
    *at = from;
    return true;
}

/* Hands over the records of one file that are behind `after`, as far as they go and up to `limit`. *ret_at: where the
 * next one would be. */
static enum status wal_replay_records(struct wal_file *f, struct slice all, uint64_t limit, struct replay *r,
                                      size_t *ret_at)
{
    struct wal_record record;
    size_t at = f->at;
    enum status s = ST_OK;
    r->last = f->before;
    while (s == ST_OK && r->last < limit &&
           (wal_replay_next(f, all, &at, r->last, &record) || wal_replay_skip(r, f, all, &at, &record))) {
        if (record.kind == WAL_END) {
            r->named = record.number > r->named ? record.number : r->named;
            break;
        }
        if (record.kind == WAL_SYNCED || record.kind == WAL_PART) {
            at += record.size;
            continue;
        }
        if (record.number > limit)
            break;
        s = atomic_load(&r->w->stop_replay) ? ST_BUSY : wal_replay_take(r, &record);
        at += record.size;
        wal_replay_progress(r, at);
    }
    *ret_at = at;
    f->last = r->last;
    return s;
}

/* Takes what one file has. next: the file behind it, or NULL. Sets r->ended where the log goes no further. */
static enum status wal_replay_file(struct wal_file *f, const struct wal_file *next, struct replay *r)
{
    uint8_t *bytes = wal_file_read(f);
    if (!bytes)
        return errno == ENOMEM ? ST_NOMEM : ST_IO;
    struct slice all = slice_of(bytes, f->size);
    size_t at = 0;
    r->file = f;
    r->all = all;
    enum status s = wal_replay_records(f, all, next ? next->before : UINT64_MAX, r, &at);
    if (s == ST_OK && (!next || next->before > wal_replay_has(r))) {
        r->ended = true;
        r->judge = (struct wal_judge){.last = wal_replay_has(r), .name = f->name, .at = at};
        r->judge.cut = f->size < f->promised && r->named <= f->use.serial;
        r->end = (struct wal_note){.last = r->judge.last, .serial = f->use.serial, .at = wal_block_up(at)};
        wal_judge_add(&r->judge, f, all, at);
    } else if (s == ST_OK) {
        wal_replay_tell_skipped(r, f, at, next->before);
    }
    free(bytes);
    r->bytes += f->size;
    return s == ST_OK && r->last > r->after && !wal_file_sync(f) ? ST_IO : s;
}

/* The place of the last file that begins at or before `after`: older files hold nothing new. all->n: there is none. */
static size_t wal_replay_first_needed(const struct wal_found *all, uint64_t after)
{
    size_t first = all->n;
    for (size_t i = 0; i < all->n; i++) {
        if (all->files[i]->use.serial > 0 && all->files[i]->before <= after)
            first = i;
    }
    return first;
}

/* Looks through the files behind the end for what was acknowledged. */
static enum status wal_replay_judge_rest(const struct wal_found *all, size_t first, struct replay *r)
{
    for (size_t i = first; i < all->n; i++) {
        const struct wal_file *f = all->files[i];
        if (f->use.serial == 0)
            continue;
        uint8_t *bytes = wal_file_read(all->files[i]);
        if (!bytes)
            return errno == ENOMEM ? ST_NOMEM : ST_IO;
        wal_judge_add(&r->judge, f, slice_of(bytes, f->size), f->at);
        free(bytes);
    }
    return ST_OK;
}

/* Reads from the first file that is needed to the end. *ret_rest: the first file behind the end. */
static enum status wal_replay_chain(struct wal *w, const struct wal_found *all, size_t first, struct replay *r,
                                    size_t *ret_rest)
{
    enum status s = atomic_load(&w->stop_replay) ? ST_BUSY : ST_OK;
    size_t i = first;
    for (; s == ST_OK && i < all->n && !r->ended; i++)
        s = wal_replay_file(all->files[i], i + 1 < all->n ? all->files[i + 1] : NULL, r);
    *ret_rest = i;
    if (first == all->n) { /* not one file begins where the store ends, or before */
        r->judge = (struct wal_judge){.last = r->after, .name = all->n ? all->files[all->n - 1]->name : 0};
        for (; *ret_rest > 0 && all->files[*ret_rest - 1]->use.serial > 0; --*ret_rest)
            continue;
        for (i = 0; *ret_rest == all->n && i < all->n; i++)
            r->judge.headless = r->judge.headless || all->files[i]->damaged;
    }
    if (s == ST_OK)
        s = wal_replay_judge_rest(all, *ret_rest, r);
    r->named = r->judge.serial > r->named ? r->judge.serial : r->named;
    r->judge.missing = r->named > w->serial;
    r->judge.serial = r->named;
    if (wal_note_is_behind(&w->note, &r->end) && w->note.last > r->judge.synced)
        r->judge.synced = w->note.last; /* a clean stop had synced all of it */
    return s;
}

static bool wal_replay_set_aside(struct wal *w, struct wal_file *f)
{
    char name[WAL_NAME_BYTES];
    w->bytes -= f->size;
    w->n_files--;
    w->dropped++;
    return wal_file_set_aside(w->folder, f, name);
}

/* Each file becomes spare or live, or is set aside. [first, rest) was read. */
static bool wal_replay_sort(struct wal *w, struct wal_found *all, size_t first, size_t rest)
{
    bool done = true;
    for (size_t i = 0; done && i < all->n; i++) {
        struct wal_file *f = all->files[i];
        all->files[i] = NULL;
        if (!f) /* a salvage has it */
            continue;
        if (f->damaged || i >= rest)
            done = wal_replay_set_aside(w, f);
        else
            wal_list_push(i < first ? &w->spare : &w->live, f);
    }
    return done;
}

static uint64_t wal_replay_bytes(const struct wal_list *l)
{
    uint64_t n = 0;
    for (const struct wal_file *f = l->first; f; f = f->next)
        n += f->size;
    return n;
}

static void wal_replay_tell(const struct wal *w, const struct replay *r)
{
    unsigned long long dropped = w->salvaging ? 0 : r->judge.bytes;
    log_event(LOG_INFO, r->taken ? "replayed the log" : "the log has nothing to replay", " groups=%llu files=%u dropped_bytes=%llu",
              (unsigned long long)r->taken, w->live.n, dropped);
    if (wal_note_is_behind(&w->note, &r->end) || (dropped && w->note.serial))
        log_event(LOG_ERROR, "the end of the log is damaged: it was whole at the last stop. The store has what was there",
                  " file=%08llu.wal byte=%zu dropped_bytes=%llu", (unsigned long long)r->judge.name, r->judge.at, dropped);
    if (r->judge.groups && !w->salvaging)
        log_event(LOG_WARN, "the end of the log is torn or damaged and was dropped: nothing behind it says that it was synced",
                  " file=%08llu.wal byte=%zu groups=%llu dropped_bytes=%llu", (unsigned long long)r->judge.name, r->judge.at,
                  (unsigned long long)r->judge.groups, dropped);
    if (w->dropped)
        log_event(LOG_ERROR, "the log has a gap, or a damaged file: what is of no use is set aside as *.lost",
                  " files=%llu", (unsigned long long)w->dropped);
}

/* Files from the one on in which the replay ended are of no more use; the others are. */
static enum status wal_replay_salvage(struct wal *w, struct wal_found *all, size_t first, size_t *rest, bool damaged,
                                      const struct replay *r)
{
    bool ended = damaged && *rest > first;
    size_t lost = damaged || w->lost_all ? *rest - ended : all->n;
    w->last = w->salvaged_to = wal_replay_has(r);
    if (!wal_salvage_keep(w, all, lost, ended, &r->judge))
        return ST_IO;
    *rest = all->n;
    return ST_OK;
}

/* Everything but finding the files. */
static enum status wal_replay_found(struct wal *w, struct wal_found *all, struct replay *r, char *err, size_t err_size)
{
    size_t first = wal_replay_first_needed(all, r->after), rest = 0;
    for (size_t i = first; i < all->n; i++)
        atomic_fetch_add(&w->to_replay_bytes, all->files[i]->size);
    enum status s = wal_replay_chain(w, all, first, r, &rest);
    if (s == ST_BUSY && !r->refused) {
        (void)snprintf(err, err_size, "the replay of the log was stopped");
        return s;
    }
    if (r->refused) {
        if (err_size && !err[0])
            (void)snprintf(err, err_size, "the store does not take what its log in %s holds", w->path);
        return s;
    }
    bool damaged = s == ST_OK && wal_judge_damaged(&r->judge);
    if (damaged && !w->salvage) {
        wal_judge_say(&r->judge, w->path, err, err_size);
        return ST_BAD;
    }
    if (s == ST_OK && (damaged || w->lost_all || w->lost.n > 0))
        s = wal_replay_salvage(w, all, first, &rest, damaged, r);
    if (s != ST_OK || !wal_replay_sort(w, all, first == all->n ? rest : first, rest))
        return wal_set_failed(w, "replay the log", err, err_size);
    return ST_OK;
}

/* A file has its full length before it is used: syncs are quicker then, and a start can tell that it was cut. Where
 * there is no room for that, it grows. */
static void wal_replay_fill(struct wal *w, struct wal_file *f)
{
    size_t before = f->size;
    if (!wal_file_fill(f, w->segment_bytes))
        (void)wal_file_cut(f, before);
    wal_set_resized(w, before, f->size);
}

/* There is a spare file, and all of them have their full length. */
static bool wal_replay_make_spare(struct wal *w)
{
    struct wal_file *made = w->spare.n == 0 ? wal_set_new_file(w) : NULL;
    if (made)
        wal_list_push(&w->spare, made);
    for (struct wal_file *f = w->spare.first; f; f = f->next)
        wal_replay_fill(w, f);
    return w->spare.n > 0;
}

/* The log goes on in a file of its own, whose header says where the records before it end. That is on disk before
 * anything is acknowledged: a damaged place that can be read again later brings nothing back. A last file that has no
 * record yet is such a file. */
static bool wal_replay_go_on(struct wal *w, const struct replay *r)
{
    if (w->salvaging)
        return wal_replay_make_spare(w); /* the salvage's group begins the file */
    struct wal_file *prev = r->ended && !r->judge.cut ? w->live.end : NULL;
    if (prev && (prev->use.first_format || prev->name != r->judge.name))
        prev = NULL;
    if (prev)
        prev->at = wal_block_up(r->judge.at);
    if (prev && prev->at == WAL_HEADER_BYTES && prev->last == w->last && prev->store == w->store_id && !r->judge.groups) {
        w->now = wal_list_pop_end(&w->live);
        return true;
    }
    return wal_replay_make_spare(w) && wal_turn(w, prev, true);
}

enum status wal_replay(void *self, uint64_t after, redo_take_fn *take, void *arg, bool *ret_long, char *err,
                       size_t err_size)
{
    struct wal *w = self;
    struct wal_found all = {0};
    struct replay r = {.w = w, .after = after, .last = after, .take = take, .arg = arg, .told_ns = clock_mono_ns()};
    bool found = wal_find(w, &all) && wal_salvage_resume(w, &all, after);
    w->note = found ? wal_note_read(w->folder) : (struct wal_note){0};
    if (found && w->salvage)
        wal_salvage_take_foreign(w, &all);
    enum status s = found ? wal_replay_found(w, &all, &r, err, err_size)
                          : wal_set_failed(w, "read the log", err, err_size);
    wal_found_free(&all);
    if (s != ST_OK)
        return s;
    w->last = wal_replay_has(&r);
    atomic_store(&w->synced, w->last);
    w->replayed = r.taken;
    *ret_long = r.taken > 0 || w->salvaging || wal_replay_bytes(&w->live) > w->bytes_max;
    w->said = w->last;
    wal_replay_tell(w, &r);
    return wal_note_remove(w->folder) && wal_replay_go_on(w, &r) ? ST_OK : wal_set_failed(w, "begin another file of the log", err, err_size);
}

/* ---- a log that nobody has open ---- */

/* Takes out what a start would set aside, since a salvage has gone on without it. */
static void wal_replay_leave_out(struct wal_found *all, uint64_t after)
{
    const struct wal_file *s = NULL;
    for (size_t i = 0; i < all->n; i++)
        s = all->files[i]->salvaged && all->files[i]->before <= after ? all->files[i] : s;
    for (size_t i = 0; s && i < all->n; i++) {
        if (!wal_salvage_covers(s, all->files[i]))
            continue;
        wal_file_free(all->files[i]);
        all->files[i] = NULL;
    }
    wal_found_close_gaps(all);
}

enum status wal_replay_look(struct wal *w, uint64_t after, redo_take_fn *take, void *arg, struct wal_seen *ret_seen, char *err,
                            size_t err_size)
{
    struct wal_found all = {0};
    struct replay r = {.w = w, .after = after, .last = after, .take = take, .arg = arg, .told_ns = INT64_MAX};
    size_t rest = 0;
    bool found = wal_find(w, &all);
    wal_replay_leave_out(&all, after);
    w->note = found ? wal_note_read(w->folder) : (struct wal_note){0};
    enum status s = found ? wal_replay_chain(w, &all, wal_replay_first_needed(&all, after), &r, &rest) : ST_IO;
    if (s != ST_OK && !r.refused)
        s = wal_set_failed(w, "read the log", err, err_size);
    *ret_seen = (struct wal_seen){.last = wal_replay_has(&r), .groups = r.taken, .files = all.n, .bytes = w->bytes,
                                  .dropped = r.judge.bytes, .skipped = r.skipped};
    ret_seen->ends_early = wal_note_is_behind(&w->note, &r.end) || (r.judge.bytes && w->note.serial);
    for (size_t i = 0; i < all.n; i++) {
        ret_seen->headless += all.files[i]->damaged;
        ret_seen->store = all.files[i]->store ? all.files[i]->store : ret_seen->store;
    }
    ret_seen->damaged = s == ST_OK && all.n > 0 && wal_judge_damaged(&r.judge);
    if (ret_seen->damaged)
        wal_judge_say(&r.judge, w->path, ret_seen->text, sizeof ret_seen->text);
    wal_found_free(&all);
    return s;
}

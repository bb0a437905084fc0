/*
 * journal.c: collects what the clients submit, and writes it in groups: one write and one sync for many commands.
 *
 *   submit ─► waiting (one queue, bounded) ─► leader takes up to a group ─► stamp, apply ─► write + sync
 *                                                 │                                            │
 *                                                 └── news to every client, then entries back ◄┘
 *
 * The leader is the thread that takes a group through this; `leading` says that there is one. With quick syncs it is
 * the loop whose turn ends. With slow syncs or large groups, and where the store may let its writer wait, it is the
 * writer thread, so that loops read and parse the next commands meanwhile (journal_pace.h). So it is where a command is
 * large, and these do not get ahead of the small ones of others (journal_queue.h).
 *
 * A very large command is not done at once: heavy turns give the log its bytes, 2 MB each (journal_parts.h), read what it
 * will need (state_ahead), and get memory ready (journal_memory.h), and only then it is applied. Light turns come in between.
 *
 * Invariants
 *   1. At most one thread leads. It sets and clears `leading` under the lock.
 *   2. All commands of a group have the same time.
 *   3. Commands of one connection are applied in the order in which they were submitted (journal_queue.h).
 *   4. The commands of an EXEC are applied in a row, by one journal_apply_exec, so they are in one group.
 *   5. A write that fails does not return: the process ends. What was not acknowledged may or may not be there after
 *      the restart.
 */
#include "broker/journal/journal.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "broker/base/clock.h"
#include "broker/base/log.h"
#include "broker/base/store_memory.h"
#include "broker/journal/journal_disk.h"
#include "broker/journal/journal_memory.h"
#include "broker/journal/journal_pace.h"
#include "broker/journal/journal_parts.h"
#include "broker/journal/journal_queue.h"
#include "storage/query.h"

#define GROUP_NS INT64_C(10000000) /* of applying: replies to what was quick do not wait for what is slow ... */
#define HEAVY_NS INT64_C(4000000)  /* ... nor those who wait for a light turn (journal_queue.h) */
#define GROUP_LOOK_EVERY 4 /* commands between two looks at the clock */
#define EXEC_BYTES_MAX MIB(32) /* that the commands of one EXEC may write and answer, beyond which the rest is not done ... */
#define EXEC_NS INT64_C(1000000000) /* ... nor beyond so much work of this thread: all others wait meanwhile */
#define EXEC_LOOK_EVERY 16 /* commands of an EXEC between two looks at the thread's clock */
#define FLUSH_WAIT_NS 1000000 /* between two looks whether the store has flushed enough for large commands */
#define ROOM_WAIT_NS 20000000 /* between two looks whether the store has room again; */
#define ROOM_WAITS 750        /* after so many looks the process ends: 15 s */

struct journal {
    struct journal_options opt;
    struct clock_state clock;
    /* ---- under lock ---- */
    pthread_mutex_t lock;
    pthread_cond_t work;    /* the writer thread waits here ... */
    pthread_cond_t syncing; /* ... and the syncer here: a signal must reach the one it is meant for */
    struct journal_queue queue; /* some of it is the leader's */
    bool leading; /* some thread is the leader, or has an unsettled group */
    bool stopping;
    struct policy policy;
    struct journal_stats stats;
    enum fsync_mode fsync;
    int64_t fsync_interval_ms;
    bool unsynced; /* something was written since the last sync; only with the modes interval and never */
    /* ---- the leader's ---- */
    uint64_t next_index;
    struct journal_parts parts;
    struct journal_memory memory;
    struct journal_disk disk;
    struct effects fx;
    /* ---- set before the first submit ---- */
    struct journal_client *clients[JOURNAL_CLIENTS_MAX];
    uint32_t n_clients;
    pthread_t writer, syncer;
    bool writer_runs, syncer_runs;
    /* ---- any thread ---- */
    _Atomic int64_t next_due_ms;
    struct journal_pace pace;
};

/* Is the command done although the disk is full? What frees space is done always: the rest of the reserve has room for
 * the few rows it writes. What is stored is delivered, acknowledged and decided until half of the reserve is spent. */
static bool journal_has_room(const struct journal_disk *disk, const struct command *cmd)
{
    if (!disk->full)
        return true;
    switch ((int)cmd->info->id) {
    case CMD_TOPIC_SET: /* RETENTION, MAXBYTES */
    case CMD_TOPIC_PURGE:
    case CMD_TOPIC_DELETE:
    case CMD_GROUP_DELETE:
    case CMD_PGROUP_DELETE:
    case CMD_DELAYED_CANCEL:
    case CMD_DLQ_PURGE:
    case CMD_TICK: /* which knows (policy.disk_spent) */
    case CMD_ROLLBACK: return true;
    case CMD_POP:
    case CMD_TAKE:
    case CMD_ACK:
    case CMD_NACK:
    case CMD_EXTEND:
    case CMD_REJECT:
    case CMD_RELEASE:
    case CMD_COMMIT:
    case CMD_UNKNOWN:
    case CMD_TXN_EXTEND:
    case CMD_CHECKS:
    case CMD_UNASK: return !disk->spent;
    default: return false;
    }
}

/* Applies the command, or says why not. False: it was not applied, as it would take too long for this turn. */
static bool journal_apply_one(struct journal *j, struct stamp *stamp, struct entry *e)
{
    bool later = !journal_has_room(&j->disk, &e->cmd), repeated = false;
    if (later)
        repeated = state_repeated(j->opt.state, stamp, &e->cmd, &e->out);
    e->fate = later && !repeated ? ST_DISKFULL : ST_OK;
    if (later)
        return true;
    stamp->index = j->next_index++;
    state_apply(j->opt.state, stamp, &e->cmd, &e->out);
    return !e->out.too_long;
}

/* Is there room for each command of an EXEC? They are done together or not at all. */
static bool journal_has_room_for_all(const struct journal_disk *disk, const struct entry *first)
{
    const struct entry *e = disk->full ? first : NULL;
    while (e && (e->cmd.info->kind != KIND_WRITE || journal_has_room(disk, &e->cmd)))
        e = e->next;
    return e == NULL;
}

/* What a command has left in memory until it is answered. */
static size_t journal_outcome_bytes(const struct outcome *out)
{
    return out->reply.size + out->text.size + out->n_grants * sizeof(struct grant);
}

/* Applies the commands of an EXEC in a row; where that comes to more than one group can bear, the others get BUSY. */
static void journal_apply_chain(struct journal *j, struct stamp *stamp, struct entry *first)
{
    struct state *st = j->opt.state;
    size_t before = state_group_bytes(st), answers = 0;
    int64_t end_ns = clock_thread_ns() + EXEC_NS;
    bool over = false;
    uint32_t n = 0;
    for (struct entry *e = first; e; e = e->next) {
        if (e->cmd.info->kind != KIND_WRITE)
            continue;
        over = over || state_group_bytes(st) - before + answers >= (size_t)EXEC_BYTES_MAX ||
               (++n % EXEC_LOOK_EVERY == 0 && clock_thread_ns() >= end_ns);
        e->fate = over ? ST_BUSY : ST_OK;
        if (over)
            continue;
        stamp->index = j->next_index++;
        state_apply(st, stamp, &e->cmd, &e->out);
        answers += journal_outcome_bytes(&e->out);
    }
}

/* Does all that an EXEC brings. False: it would take too long for this turn. */
static bool journal_apply_exec(struct journal *j, struct stamp *stamp, struct entry *e, bool heavy)
{
    if (e->slow && !heavy)
        return false;
    e->fate = journal_has_room_for_all(&j->disk, e->more) ? ST_OK : ST_DISKFULL;
    if (e->fate != ST_OK)
        return true;
    state_spare(j->opt.state, false); /* none of them may be put off when others are applied */
    journal_apply_chain(j, stamp, e->more);
    return true;
}

/* Applies commands until the batch is large enough to be written; those that were applied are t->group afterwards. */
static void journal_apply(struct journal *j, struct queue_turn *t, const struct policy *policy)
{
    struct stamp stamp = {.now_ms = clock_stamp_ms(&j->clock), .policy = policy};
    struct entry_list done = {0};
    struct entry *e = NULL;
    int64_t end_ns = clock_mono_ns() + (t->heavy ? HEAVY_NS : GROUP_NS);
    uint32_t n = 0;
    if (t->heavy)
        journal_memory_use(&j->memory, j->opt.state);
    while ((e = queue_next(&j->queue, t))) {
        state_spare(j->opt.state, !t->heavy || done.n); /* only the turn's first command was prepared */
        __builtin_prefetch(t->group.first); /* another thread wrote the next entry: fetch it while this one is applied */
        if (t->heavy && done.n && journal_parts_wanted(e)) { /* not before the log has its bytes */
            queue_again(&j->queue, t, e);
            break;
        }
        bool applied = e->more ? journal_apply_exec(j, &stamp, e, t->heavy) : journal_apply_one(j, &stamp, e);
        if (applied || (t->heavy && !done.n)) {
            entry_push(&done, e);
        } else {
            entry_again(e);
            if (t->heavy) { /* it needs what this group has done */
                queue_again(&j->queue, t, e);
                break;
            }
            queue_put_off(&j->queue, t, e);
        }
        if (state_group_full(j->opt.state) || ((++n % GROUP_LOOK_EVERY == 0 || t->heavy) && clock_mono_ns() >= end_ns))
            break;
    }
    t->rest = t->group;
    t->group = done;
}

/* Syncs all that was written before. Any thread, not under the lock. */
static void journal_sync(struct journal *j)
{
    char err[512] = "";
    pthread_mutex_lock(&j->lock);
    j->unsynced = false;
    pthread_mutex_unlock(&j->lock);
    int64_t before = clock_mono_ns();
    if (store_sync(j->opt.store, err, sizeof(err)) != ST_OK) {
        j->opt.fatal(err);
        abort();
    }
    int64_t took = clock_mono_ns() - before;
    pthread_mutex_lock(&j->lock);
    journal_stats_count_sync(&j->stats, took);
    pthread_mutex_unlock(&j->lock);
}

/* True: the group was not synced, but the mode has become `always` meanwhile. */
static bool journal_count(struct journal *j, uint32_t commands, int64_t took_ns, bool written, bool sync)
{
    pthread_mutex_lock(&j->lock);
    journal_stats_count_group(&j->stats, commands, written);
    bool behind = written && !sync;
    j->unsynced = j->unsynced || behind;
    if (written && sync)
        journal_stats_count_sync(&j->stats, took_ns);
    j->stats.tally = *state_tally(j->opt.state);
    j->stats.disk_free_bytes = j->disk.free_bytes;
    j->stats.disk_full = j->disk.full;
    j->stats.disk_low = j->disk.low;
    behind = behind && j->fsync == FSYNC_ALWAYS;
    pthread_mutex_unlock(&j->lock);
    return behind;
}

int64_t journal_gather_ns(struct journal *j)
{
    bool slow = atomic_load_explicit(&j->pace.slow, memory_order_relaxed);
    return slow ? 0 : atomic_load_explicit(&j->pace.gather_ns, memory_order_relaxed);
}

static void journal_write(struct journal *j, uint32_t commands, enum fsync_mode mode)
{
    char err[512] = "";
    bool sync = mode == FSYNC_ALWAYS;
    int64_t before = clock_mono_ns();
    if (state_log(j->opt.state, sync, &j->fx, err, sizeof(err)) != ST_OK) {
        j->opt.fatal(err);
        abort();
    }
    int64_t took = clock_mono_ns() - before;
    if (j->fx.written)
        journal_pace_learn(&j->pace, took, commands);
    if (journal_count(j, commands, took, j->fx.written, sync))
        journal_sync(j); /* journal_set_fsync has returned: nothing may be acknowledged unsynced from now on */
}

/* Puts the group into the store. Where the disk is full, the store looks for room every few seconds; that is waited for,
 * since the group is in the log and others must not overtake it. */
static void journal_settle_group(struct journal *j)
{
    char err[512] = "";
    enum status s = state_settle(j->opt.state, err, sizeof(err));
    if (s == ST_DISKFULL)
        log_event(LOG_ERROR, "the disk is full, the store waits for room", " hint=%s", "\"free some space\"");
    for (int i = 0; s == ST_DISKFULL && i < ROOM_WAITS; i++) {
        const struct timespec nap = {.tv_nsec = ROOM_WAIT_NS};
        nanosleep(&nap, NULL);
        s = state_settle(j->opt.state, err, sizeof(err));
    }
    if (s != ST_OK) {
        j->opt.fatal(err);
        abort();
    }
}

/* Makes the group visible to views, then sends its news to every client. */
static void journal_publish(struct journal *j)
{
    journal_settle_group(j);
    journal_pace_stall(&j->pace, store_stalls(j->opt.store));
    int64_t due_was_ms = atomic_exchange(&j->next_due_ms, j->fx.next_due_ms);
    /* An earlier due time is news as well: the ticker sleeps until the old one. */
    if (j->fx.n_keys || j->fx.overflow || j->fx.pgroups_changed || j->fx.users_changed ||
        j->fx.next_due_ms < due_was_ms)
        for (uint32_t i = 0; i < j->n_clients; i++)
            j->clients[i]->news(j->clients[i], &j->fx);
}

/* The client that all entries of the group belong to, which is the common case; NULL: there are several. */
static struct journal_client *journal_only_owner(const struct entry_list *group)
{
    struct journal_client *only = group->first ? group->first->owner : NULL;
    for (const struct entry *e = group->first; e; e = e->next) {
        if (e->owner != only)
            return NULL;
    }
    return only;
}

/* Hands each client its entries in the order in which it submitted them, with one post a client. only: what
 * journal_only_owner says of the group. */
static void journal_hand_back(struct journal *j, struct entry_list *group, struct journal_client *only)
{
    struct entry_list per_client[JOURNAL_CLIENTS_MAX];
    for (struct entry *e = group->first; e; e = e->next)
        e->index = j->fx.index;
    if (only) {
        only->post(only, group);
        return;
    }
    for (uint32_t i = 0; i < j->n_clients; i++)
        per_client[i] = (struct entry_list){0};
    struct entry *e = NULL;
    while ((e = entry_pop(group)))
        entry_push(&per_client[e->owner->number], e);
    for (uint32_t i = 0; i < j->n_clients; i++)
        if (per_client[i].first)
            j->clients[i]->post(j->clients[i], &per_client[i]);
}

/* Reads some of what the command needs, or of an EXEC the first one of its commands that needs much. True: there is more. */
static bool journal_reads_ahead(struct journal *j, const struct policy *policy, const struct entry *e)
{
    for (const struct entry *one = e->more ? e->more : e; one; one = e->more ? one->next : NULL) {
        size_t large = j->memory.large;
        enum status s = state_ahead(j->opt.state, policy, &one->cmd, &large);
        journal_memory_large(&j->memory, large);
        if (s == ST_BUSY)
            return true;
        if (state_ahead_any(j->opt.state))
            return false;
    }
    return false;
}

/* True: the turn's command is large, and all that was done is that the log got some more of its bytes, or some more was read
 * of what it needs, or more memory is ready. It is the first one of the next turn of this kind, and others have theirs before. */
static bool journal_prepares(struct journal *j, struct queue_turn *t, const struct policy *policy, enum fsync_mode mode)
{
    char err[512] = "";
    const struct entry *e = t->group.first;
    bool parts = t->heavy && mode == FSYNC_ALWAYS && !j->disk.full;
    enum parts_step step = parts ? journal_parts_step(&j->parts, j->opt.state, e, err, sizeof err) : PARTS_OVER;
    if (step == PARTS_FAILED) {
        j->opt.fatal(err);
        abort();
    }
    if (!t->heavy)
        return false;
    if (step == PARTS_OVER && !journal_reads_ahead(j, policy, e) && !journal_memory_step(&j->memory, j->opt.state, policy, e))
        return false;
    t->rest = t->group;
    t->group = (struct entry_list){0};
    pthread_mutex_lock(&j->lock);
    queue_give_back(&j->queue, t);
    pthread_mutex_unlock(&j->lock);
    return true;
}

/* Takes one group from the queue to its owners. The caller has set `leading`. answers_first: if all entries are this
 * client's, the group stays unsettled; NULL: it is settled in any case. may_be_heavy: the caller is no loop. */
static void journal_lead(struct journal *j, struct journal_client *answers_first, bool may_be_heavy)
{
    struct queue_turn t;
    pthread_mutex_lock(&j->lock);
    queue_take(&j->queue, &t, may_be_heavy);
    struct policy policy = j->policy;
    enum fsync_mode mode = j->fsync;
    pthread_mutex_unlock(&j->lock);
    if (!t.group.first)
        return;
    journal_disk_look(&j->disk, clock_mono_ns());
    policy.disk_spent = j->disk.spent;
    if (journal_prepares(j, &t, &policy, mode))
        return;
    journal_apply(j, &t, &policy);
    uint32_t commands = t.group.n;
    journal_write(j, commands, mode);
    if (t.heavy)
        journal_parts_end(&j->parts, j->opt.state);
    struct journal_client *only = journal_only_owner(&t.group);
    /* Users are asked for on other threads, too: by who accepts connections, and by HTTP. */
    if (only && only == answers_first && !j->fx.users_changed)
        only->unsettled = true;
    else
        journal_publish(j);
    if (t.heavy)
        journal_memory_end(&j->memory, j->opt.state);
    pthread_mutex_lock(&j->lock);
    j->stats.pending -= commands;
    j->stats.pending_bytes -= t.group.bytes;
    queue_give_back(&j->queue, &t);
    pthread_mutex_unlock(&j->lock);
    journal_hand_back(j, &t.group, only);
}

/* Under the lock. True: the writer thread is to lead next. */
static bool journal_wants_writer(const struct journal *j)
{
    return atomic_load_explicit(&j->pace.slow, memory_order_relaxed) || queue_wants_writer(&j->queue);
}

/* Gives up leading. Where something waits, wakes whoever should lead next. Not under the lock. */
static void journal_pass_on(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    j->leading = false;
    struct journal_client *next = NULL;
    if (queue_any(&j->queue) && journal_wants_writer(j))
        pthread_cond_signal(&j->work);
    else if (queue_any(&j->queue))
        next = j->queue.waiting.first->owner;
    pthread_mutex_unlock(&j->lock);
    if (next)
        next->nudge(next);
}

/* Settles the group that c has led and that was handed back, and gives up leading. No-op if there is none. */
static void journal_settle(struct journal *j, struct journal_client *c)
{
    if (!c->unsettled)
        return;
    c->unsettled = false;
    journal_publish(j);
    journal_pass_on(j);
}

bool journal_turn(struct journal *j, struct journal_client *c, enum turn_order order)
{
    journal_settle(j, c);
    pthread_mutex_lock(&j->lock);
    bool idle = queue_any(&j->queue) && !j->leading, lead = idle && !journal_wants_writer(j);
    if (lead)
        j->leading = true;
    else if (idle)
        pthread_cond_signal(&j->work);
    pthread_mutex_unlock(&j->lock);
    if (!lead)
        return false;
    journal_lead(j, order == TURN_ANSWERS_FIRST ? c : NULL, false);
    if (!c->unsettled)
        journal_pass_on(j);
    return c->unsettled;
}

struct view *journal_view(struct journal *j, struct journal_client *c)
{
    if (c)
        journal_settle(j, c);
    return view_open(j->opt.store);
}

/* Leads one turn. While the store has much to flush it is a light one, and large commands wait: each of them would make a
 * write buffer of its own size, and the next would come before that is on disk. The caller has set `leading`. */
static void journal_lead_as_writer(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    bool large = queue_wants_writer(&j->queue);
    pthread_mutex_unlock(&j->lock);
    bool crowded = large && store_is_crowded(j->opt.store);
    journal_lead(j, NULL, !crowded);
    pthread_mutex_lock(&j->lock);
    bool only_large = crowded && !j->queue.waiting.first && j->queue.put_off.first;
    pthread_mutex_unlock(&j->lock);
    journal_pass_on(j);
    const struct timespec nap = {.tv_nsec = FLUSH_WAIT_NS};
    if (only_large)
        nanosleep(&nap, NULL);
}

/* The writer thread: leads while the pace is slow, and what would hold up a loop. */
static void *journal_writer(void *arg)
{
    struct journal *j = arg;
    for (;;) {
        pthread_mutex_lock(&j->lock);
        while (!j->stopping && (!queue_any(&j->queue) || j->leading || !journal_wants_writer(j)))
            pthread_cond_wait(&j->work, &j->lock);
        bool stop = j->stopping;
        if (!stop)
            j->leading = true;
        pthread_mutex_unlock(&j->lock);
        if (stop) {
            store_memory_prefault_end();
            return NULL;
        }
        journal_lead_as_writer(j);
    }
}

/* The syncer thread: with fsync=interval, syncs what was written since the last sync. */
static void *journal_syncer(void *arg)
{
    struct journal *j = arg;
    pthread_mutex_lock(&j->lock);
    while (!j->stopping) {
        clock_wait(&j->syncing, &j->lock, j->fsync_interval_ms);
        if (!j->unsynced || j->fsync != FSYNC_INTERVAL)
            continue;
        pthread_mutex_unlock(&j->lock);
        journal_sync(j);
        pthread_mutex_lock(&j->lock);
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

enum status journal_new(const struct journal_options *opt, struct journal **ret_j)
{
    struct journal *j = calloc(1, sizeof(*j));
    if (!j)
        return ST_NOMEM;
    j->opt = *opt;
    j->disk.path = opt->data_path;
    j->disk.least_bytes = opt->disk_reserve_bytes;
    j->fsync = opt->fsync;
    j->fsync_interval_ms = opt->fsync_interval_ms;
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->work, NULL);
    if (!clock_cond_new(&j->syncing)) {
        pthread_mutex_destroy(&j->lock);
        pthread_cond_destroy(&j->work);
        free(j);
        return ST_NOMEM;
    }
    int64_t last_ms = 0;
    state_last(opt->state, &j->next_index, &last_ms);
    j->next_index++;
    clock_start(&j->clock, last_ms);
    atomic_store(&j->next_due_ms, 0);
    atomic_store(&j->pace.slow, false);
    journal_disk_look(&j->disk, clock_mono_ns());
    j->stats.tally = *state_tally(opt->state);
    j->stats.disk_free_bytes = j->disk.free_bytes;
    j->writer_runs = pthread_create(&j->writer, NULL, journal_writer, j) == 0;
    j->syncer_runs = j->writer_runs && pthread_create(&j->syncer, NULL, journal_syncer, j) == 0;
    if (!j->syncer_runs) {
        journal_free(j);
        return ST_NOMEM;
    }
    *ret_j = j;
    return ST_OK;
}

/* Writes the entries that still wait at the stop: they were accepted. */
static void journal_drain(struct journal *j)
{
    for (;;) {
        pthread_mutex_lock(&j->lock);
        bool more = queue_any(&j->queue);
        pthread_mutex_unlock(&j->lock);
        if (!more)
            return;
        journal_lead(j, NULL, true);
    }
}

void journal_free(struct journal *j)
{
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    j->stopping = true;
    pthread_cond_broadcast(&j->work);
    pthread_cond_broadcast(&j->syncing);
    pthread_mutex_unlock(&j->lock);
    if (j->writer_runs)
        pthread_join(j->writer, NULL);
    if (j->syncer_runs)
        pthread_join(j->syncer, NULL);
    journal_drain(j);
    char err[512] = "";
    if (store_sync(j->opt.store, err, sizeof(err)) != ST_OK)
        j->opt.fatal(err);
    pthread_mutex_destroy(&j->lock);
    pthread_cond_destroy(&j->work);
    pthread_cond_destroy(&j->syncing);
    free(j);
}

void journal_register(struct journal *j, struct journal_client *c)
{
    assert(j->n_clients < JOURNAL_CLIENTS_MAX);
    c->number = j->n_clients;
    j->clients[j->n_clients++] = c;
}

void journal_set_policy(struct journal *j, const struct policy *p)
{
    pthread_mutex_lock(&j->lock);
    j->policy = *p;
    pthread_mutex_unlock(&j->lock);
}

struct policy journal_policy(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    struct policy p = j->policy;
    pthread_mutex_unlock(&j->lock);
    return p;
}

void journal_set_fsync(struct journal *j, enum fsync_mode mode, int64_t interval_ms)
{
    pthread_mutex_lock(&j->lock);
    j->fsync = mode;
    j->fsync_interval_ms = interval_ms;
    pthread_cond_broadcast(&j->syncing);
    pthread_mutex_unlock(&j->lock);
    if (mode != FSYNC_NEVER)
        journal_sync(j); /* even if nothing is unsynced: another thread may still be at it */
}

bool journal_submit(struct journal *j, struct journal_client *c, struct entry *e)
{
    e->owner = c;
    pthread_mutex_lock(&j->lock);
    /* An entry that is larger than the bound is taken while nothing else is pending; else it would be BUSY for ever. */
    bool room = j->stats.pending == 0 ||
                (j->stats.pending < j->opt.pending_max &&
                 j->stats.pending_bytes + e->bytes <= j->opt.pending_bytes_max);
    if (room) {
        queue_push(&j->queue, e);
        j->stats.pending++;
        j->stats.pending_bytes += e->bytes;
    }
    pthread_mutex_unlock(&j->lock);
    return room;
}

/* There is one broker, so it is in charge. */
bool journal_in_charge(const struct journal *j)
{
    (void)j;
    return true;
}

int64_t journal_now_ms(struct journal *j)
{
    return clock_now_ms(&j->clock);
}

int64_t journal_next_due_ms(struct journal *j)
{
    return atomic_load(&j->next_due_ms);
}

void journal_stats(struct journal *j, struct journal_stats *ret_stats)
{
    pthread_mutex_lock(&j->lock);
    *ret_stats = j->stats;
    pthread_mutex_unlock(&j->lock);
}

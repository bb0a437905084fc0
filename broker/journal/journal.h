/*
 * journal.h: THE SEAM: submit a command, and be told when it is durable.
 *
 * The journal is a *group commit*: the thread that leads takes all entries that wait, stamps and applies them, writes
 * and syncs once, then sends the news to every client and hands each entry back to its owner. Under a replicated log
 * the same calls stay.
 *
 *   loop turn:  parse ─ submit ─ submit ─ ... ─ journal_turn ──┬─ nobody leads: lead a group here
 *                                                              └─ somebody does, or syncs are slow: post() is
 *                                                                 called later, from another thread
 *
 * A hand-over between threads costs more than a quick sync. So the loop's own thread leads while syncs take less than
 * about a millisecond; when they take longer, or much is to be written, the journal's writer thread leads, and loops go on
 * answering reads.
 *
 * Order: the news of a group goes to every client before any of its entries is handed back, unless all of them are the
 * leader's own (TURN_ANSWERS_FIRST). The entries of one connection come back in the order in which they were submitted.
 *
 * A group that was handed back and is not yet in the store's memory is *unsettled*. Nothing may be read or applied
 * before it is settled. The journal sees to that by itself: it settles in journal_view and in journal_turn.
 *
 * Threads: submit, turn and view from the client's own thread; post, news and nudge are called from any.
 */
#ifndef HALFMQ_BROKER_JOURNAL_H
#define HALFMQ_BROKER_JOURNAL_H

#include "broker/journal/entry.h"
#include "broker/journal/journal_stats.h"

struct journal;
struct view; /* storage/query.h */

/* Who submits: a loop, the webhooks' thread, the advancer; the ticker only listens. Its owner fills in the functions and registers
 * it once, before anything is submitted. */
struct journal_client {
    /* Hands back entries that are done, in order. Called from any thread, its own during journal_turn among them: it
     * must only queue them and wake its thread. */
    void (*post)(struct journal_client *c, struct entry_list *done);
    /* Tells what a durable group has changed. It must only keep that and, where somebody waits for news, wake its
     * thread; it must not block. */
    void (*news)(struct journal_client *c, const struct effects *fx);
    /* Asks it to call journal_turn soon, since somebody has to lead. Any thread. */
    void (*nudge)(struct journal_client *c);
    /* ---- the journal's ---- */
    uint32_t number; /* set by journal_register */
    bool unsettled;  /* its own thread's: it led a group that is handed back, but not settled yet */
};

enum fsync_mode { FSYNC_ALWAYS, FSYNC_INTERVAL, FSYNC_NEVER };

struct journal_options {
    struct store *store;
    struct state *state; /* of that store */
    enum fsync_mode fsync;
    int64_t fsync_interval_ms;
    size_t pending_bytes_max;   /* what may be pending, all clients together: submitted and not yet handed back */
    uint32_t pending_max;       /* ... and how many entries */
    int64_t disk_reserve_bytes; /* with less free disk writes are answered DISKFULL; the store can flush its buffers in it */
    const char *data_path;      /* where free disk is measured */
    void (*fatal)(const char *text); /* the store cannot write: must not return */
};

#define JOURNAL_CLIENTS_MAX 64

enum status journal_new(const struct journal_options *opt, struct journal **ret_j) MUST_CHECK;
void journal_free(struct journal *j); /* drains, syncs, stops its threads */

void journal_register(struct journal *j, struct journal_client *c);

/* The settings that go into every stamp (storage/state.h); copied. Any thread. */
void journal_set_policy(struct journal *j, const struct policy *p);
struct policy journal_policy(struct journal *j);

/* Unless the mode is `never`, all that was acknowledged is synced when this returns, and the mode holds for all that is
 * acknowledged from then on. So it takes as long as a sync. Any thread. */
void journal_set_fsync(struct journal *j, enum fsync_mode mode, int64_t interval_ms);

/* False: a bound is reached, answer BUSY; e stays the caller's. True: e is the journal's until post hands it back. */
bool journal_submit(struct journal *j, struct journal_client *c, struct entry *e) MUST_CHECK;

/* How long a loop that is about to lead may wait for more commands, in ns: half of what a sync takes, as commands that
 * come a moment later have to wait for another one. 0: loops do not lead now, or nothing is synced. Any thread. */
int64_t journal_gather_ns(struct journal *j);

/*
 * At the end of a loop's turn, and after a nudge: settles what the last call left, then leads a group where one
 * waits and nobody leads.
 *
 * A group that is in the log is durable, and who sent it may be answered; for others to see it, it has to go into
 * the store's memory, too. TURN_ANSWERS_FIRST: where all of the group's commands are this client's own, that is left
 * for later, and true is returned: the client sends its answers and calls journal_turn again before it sleeps, so
 * that the store works while those who were answered think about what to ask next. Only a loop that answers all
 * clients alone may ask for it: with a second one, somebody could read there before it is settled. A group that
 * changes users is settled at once all the same, since other threads ask for them.
 */
enum turn_order { TURN_NEWS_FIRST, TURN_ANSWERS_FIRST };
bool journal_turn(struct journal *j, struct journal_client *c, enum turn_order order);

/*
 * Opens a view of the store that holds every group that c was handed back. All views of the broker are opened here,
 * so that none is opened before its client's last group is settled. c: the client whose thread this is; NULL: a
 * thread that has none. NULL: no memory. Closed with view_close.
 */
struct view *journal_view(struct journal *j, struct journal_client *c);

/*
 * The gate: true where this broker may begin what only one broker of several may do for a store: TICK, and CHECKS for
 * subscribers and CHECKURLs. Today there is one broker, so the answer is always yes; under a replicated log it is the
 * leader's alone, and this function is what changes.
 *
 * Whoever begins such work asks each time before. Where the answer is no, it does nothing and needs no timer of its
 * own: when the answer turns to yes, every client gets news with `overflow`. What follows from work that was begun
 * (decisions, UNASK) is not asked for here; it is submitted, and may be refused. Any thread.
 */
bool journal_in_charge(const struct journal *j);

/* The logical clock, ms: greatest of the wall clock and (last stored stamp + monotonic time since). */
int64_t journal_now_ms(struct journal *j);

/* When TICK should be submitted next (ms, logical clock); INT64_MAX: nothing is due ever. */
int64_t journal_next_due_ms(struct journal *j);

/* Figures for INFO and /metrics: copied under a lock. Any thread. */
void journal_stats(struct journal *j, struct journal_stats *ret_stats);

#endif

/*
 * world.h: the simulated system: a store, its journal (groups, the clock, the ticker), and around it
 * services, members of producer groups and a consumer, all of them moved by one seed.
 *
 *   steps (steps.def) ──► world_do ──► open group ──► world_write ──► news ─► takers ─► CHECKS ...
 *                            │             │
 *                            ▼             └── world_crash: the group is gone, as if never spoken
 *                         oracle                world_cut: the groups since the last sync, or some of them
 *
 * A history is a list of steps, each with a seed of its own: whatever a step chooses depends on that and
 * on the state it finds, so a history can be shortened by leaving steps out.
 */
#ifndef HALFMQ_TESTS_SIM_WORLD_H
#define HALFMQ_TESTS_SIM_WORLD_H

#include "tests/lib/prng.h"
#include "tests/lib/store.h"
#include "tests/sim/oracle.h"

#define W_INBOX 64
#define W_GHOSTS 32
#define W_SAVED 6
#define W_LINES 60
#define W_LOGS 64

/* Members of a producer group that wait to be asked, as the broker keeps them. A subscriber comes again at
 * once after each check, and sleeps when there is none, until news or the time that it was told. */
struct w_taker {
    bool there, parked, news;
    int64_t retry_ms; /* 0: only for news */
};

/* Those in a WAIT stand in a line: one is woken for each check of the news, and one by time, which is kept
 * for the line. Who found something goes; woken by time, it passes its turn on. */
struct w_line {
    uint32_t n, woken;
    bool by_time;
    int64_t retry_ms;
};

/* A check-back somebody was handed. */
struct w_ask {
    uint64_t txid;
    uint32_t attempt;
};

/* The last batch that was sent. */
struct w_sent {
    int topic, queue, dedup; /* -1: none */
    uint32_t n;
};

/* What TXN LIST is asked for, and how far a listing has come that goes on while the world changes. */
struct w_listing {
    bool on;
    int pgroup, fate; /* -1: any; pgroup O_PGROUPS: one that has nothing */
    uint32_t count;   /* 0: not given */
    uint64_t cursor;
};

/* A file of the write-ahead log, and how much of it is on disk for sure. */
struct w_log {
    char name[64];
    int64_t synced;
};

struct world {
    struct store s;
    struct oracle o;
    struct prng p; /* of the step at work */
    uint64_t seed;
    uint32_t step;
    const char *doing;
    bool few;   /* a history with few transactions: often none is open, and nobody polls */
    bool lazy;  /* fsync=interval: groups are synced now and then */
    bool trace; /* print everything at once */
    int64_t wall_ms, next_due_ms;
    uint32_t serial;
    struct w_taker takers[O_PGROUPS];
    struct w_line lines[O_PGROUPS];
    struct w_ask inbox[W_INBOX];
    uint32_t n_asked; /* into the inbox, ever */
    uint64_t ghosts[W_GHOSTS]; /* ids that nobody was told: their group was lost */
    uint32_t n_ghosts;
    uint32_t n_saved; /* states of the oracle that a power cut may lead back to; the last is the present */
    uint64_t saved_index[W_SAVED];
    struct w_log logs[W_LOGS];
    uint32_t n_logs;
    struct w_listing listing;
    struct w_sent sent;
    struct buf said;
    char told[W_LINES][160];
    uint32_t n_told;
};

extern struct world w;

/* What counts for a producer group: its own settings, or the broker's. */
struct w_policy {
    int64_t checkin_ms, check_every_ms, timeout_ms;
    uint32_t check_max;
};
struct w_policy policy_of(int pgroup);

/* Chance of the step at work: 0 .. n-1. */
int below(uint64_t n);

/* A line for the trace. */
void world_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Prints what led here; used by the complaint. */
void world_tell(const char *what);

void world_begin(uint64_t seed);
void world_end(void);

/* Applies a line in the open group; its answer as text, good until the next one. */
const char *world_do(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same of words; the line is what the trace shows. */
const char *world_words(const struct slice *words, size_t n, const char *line);

/* A query of what is written; between groups only. */
const char *world_ask(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Ends the open group. */
void world_write(void);
void world_sync(void);

/* The process is killed, or stopped well, and starts again. */
void world_crash(void);
void world_restart(void);
void world_cut(void);

/* Time goes on; step: what the wall clock is set by besides. */
void world_pass(int64_t ms, int64_t step_ms);

/* What is due is done, and takers are asked until everybody sleeps; then nobody may sleep over anything. */
void world_settle(void);

/* The TICK of a ticker that comes when it likes. */
void world_tick(void);

/* One CHECKS of a producer group; how many it got, or when to come again. lost: in how many of 8 cases
 * nobody takes what it got. */
uint32_t world_checks(int pgroup, uint32_t count, int lost, int64_t *ret_retry_ms);

/* One more member in a WAIT; it looks at once. */
void world_wait(int pgroup);

/* Compares everything that is stored with the oracle (audit.c); compacted: what is stale must be gone. */
void audit(bool compacted);

/* What TXN INFO, or a TXN LIST, says of a transaction (audit.c). */
void audit_info(const struct o_txn *x, const char *said);

/* All lists (audit_list.c). */
void audit_lists(void);

/* Any filter, to begin with; and the next page of a listing, which is at its end when it is not on any more. */
void listing_begin(struct w_listing *l);
void listing_page(struct w_listing *l);

#endif

/*
 * world.h: the simulated system: a store with its journal (commit groups, clock, ticker), and services, members of
 * producer groups and a consumer. One seed drives all of them.
 *
 *   steps (steps.def) ──► world_do ──► open group ──► world_write ──► news ─► takers ─► CHECKS ...
 *                            │             │
 *                            ▼             └── world_crash: the open group is lost
 *                         oracle                world_cut: the groups since the last sync are lost, or some of them
 *
 * A history is a list of steps, each with a seed of its own. The random choices of a step depend only on that seed
 * and on the present state, so a history can be shortened by leaving steps out.
 */
#ifndef HALFMQ_TESTS_SIM_WORLD_H
#define HALFMQ_TESTS_SIM_WORLD_H

#include "tests/lib/prng.h"
#include "tests/lib/shell.h"
#include "tests/sim/oracle.h"

#define W_INBOX 64
#define W_GHOSTS 32
#define W_SAVED 6
#define W_LINES 60
#define W_LOGS 64

/* The subscribers of a producer group, as the broker serves them. After a check they look for the next one at once.
 * If there is none they sleep, until news or until the time that CHECKS has told. */
struct w_taker {
    bool there, parked, news;
    int64_t retry_ms; /* 0: only for news */
};

/* The members in a CHECKS ... WAIT, as a line. One is woken for each check in the news, and one when the line's retry
 * time comes. A member that finds a check leaves; if time has woken it, the next one in the line is woken. */
struct w_line {
    uint32_t n, woken;
    bool by_time;
    int64_t retry_ms;
};

/* A check-back that a member has received. */
struct w_ask {
    uint64_t txid;
    uint32_t attempt;
};

/* The last batch that was sent. */
struct w_sent {
    int topic, queue, dedup; /* -1: none */
    uint32_t n;
};

/* The filters of a TXN LIST, and the position of a listing that goes on while other steps change transactions. */
struct w_listing {
    bool on;
    int pgroup, fate; /* -1: any; pgroup O_PGROUPS: one that has nothing */
    uint32_t count;   /* 0: not given */
    uint64_t cursor;
};

/* A file of the write-ahead log, and how much of it is synced. */
struct w_log {
    char name[64];
    int64_t synced;
};

struct world {
    struct shell s;
    struct oracle o;
    struct prng p; /* of the present step */
    struct prng bad; /* of what must make no difference: what is in memory, and reads that fail */
    uint64_t seed;
    uint32_t step;
    const char *doing;
    bool few;   /* a history with few transactions: often none is open, and no member polls */
    bool lazy;  /* fsync=interval: only some groups are synced */
    bool trace; /* print everything at once */
    int64_t wall_ms, next_due_ms;
    uint32_t serial;
    struct w_taker takers[O_PGROUPS];
    struct w_line lines[O_PGROUPS];
    struct w_ask inbox[W_INBOX];
    uint32_t n_asked; /* asks that were put into the inbox so far */
    uint64_t ghosts[W_GHOSTS]; /* ids that no reply has named: their commit group was lost */
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

/* The settings that apply to a producer group: its own, or the broker's. */
struct w_policy {
    int64_t checkin_ms, check_every_ms, timeout_ms;
    uint32_t check_max;
};
struct w_policy policy_of(int pgroup);

/* A random number from 0 to n-1, from the seed of the present step. */
int below(uint64_t n);

/* Adds a line to the trace. */
void world_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Prints a complaint, with the last lines of the trace before it. */
void world_tell(const char *what);

void world_begin(uint64_t seed);
void world_end(void);

/* Applies a command in the open group. Returns its reply as text, valid until the next command. */
const char *world_do(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same for a command given as words; line is for the trace. */
const char *world_words(const struct slice *words, size_t n, const char *line);

/* Runs a query on what is written. To be called between groups only. */
const char *world_ask(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Writes the open group and starts a new one. */
void world_write(void);
void world_sync(void);

/* Kills the process, or stops it cleanly, and starts it again. */
void world_crash(void);
void world_restart(void);

/* The state is dropped and loaded again between two groups, or in the middle of one, which is lost. */
void world_reload(void);
void world_cut(void);

/* Lets time pass. step_ms: by how much the wall clock is set as well. */
void world_pass(int64_t ms, int64_t step_ms);

/* Runs the ticker and the takers until all of them sleep. Then no check may be due that a member could take. */
void world_settle(void);

/* Sends a TICK at any time, as a late ticker would. */
void world_tick(void);

/* Runs one CHECKS of a producer group. Returns how many checks it got; *ret_retry_ms is when to look again. lost: of 8
 * checks, how many get lost on average, so that UNASK takes them back. */
uint32_t world_checks(int pgroup, uint32_t count, int lost, int64_t *ret_retry_ms);

/* Adds a member to those in a WAIT. It looks for checks at once. */
void world_wait(int pgroup);

/* Compares everything that is stored with the oracle (audit.c). compacted: no stale row may be left. */
void audit(bool compacted);

/* Checks what TXN INFO or TXN LIST shows of a transaction (audit.c). */
void audit_info(const struct o_txn *x, const char *said);

/* Checks all lists (audit_list.c). */
void audit_lists(void);

/* listing_begin starts a listing with random filters. The other reads and checks its next page; the listing has ended
 * when it is not `on` any more. */
void listing_begin(struct w_listing *l);
void listing_page(struct w_listing *l);

#endif

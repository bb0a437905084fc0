/*
 * watch.h: the progress of the demo, read from the service's database and the broker's INFO.
 */
#ifndef DEMO_WATCH_H
#define DEMO_WATCH_H

#include <halfmq.h>
#include <sqlite3.h>
#include <stdbool.h>

struct figures {
    /* the database */
    uint32_t taken, refused;
    uint32_t never; /* tombstones: transactions that never happened */
    uint32_t asked_commit, asked_rollback;
    /* the broker; its counters start at 0 with each start, so the values before a kill are added */
    uint64_t pending, committed, rolledback, asked;
};

struct watch {
    const char *db_path;
    sqlite3 *db; /* NULL: not there yet */
    hmq_client *client;
    struct figures now, before; /* before: the broker's counters up to its last kill */
};

/* Reads the database. False: not there yet, or it failed. */
bool watch_database(struct watch *w);

/* Reads the broker's INFO; waits up to timeout_ms. */
bool watch_broker(struct watch *w, int64_t timeout_ms);

/* Saves the broker's counters. To be called just before the broker is killed. */
void watch_keep(struct watch *w);

/* Runs a query that returns one number. -1: it failed. */
int64_t watch_number(struct watch *w, const char *sql);

void watch_close(struct watch *w);

#endif

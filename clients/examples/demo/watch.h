/*
 * watch.h: how far things are, read from outside: the service's database and the broker's INFO.
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
    /* the broker; its counters begin anew with each start, so what was before a kill is kept */
    uint64_t pending, committed, rolledback, asked;
};

struct watch {
    const char *db_path;
    sqlite3 *db; /* NULL: not there yet */
    hmq_client *client;
    struct figures now, before; /* before: of the broker's earlier lives */
};

/* Reads the database. False: not there yet, or it failed. */
bool watch_database(struct watch *w);

/* Asks the broker, for up to timeout_ms. */
bool watch_broker(struct watch *w, int64_t timeout_ms);

/* Just before the broker is killed. */
void watch_keep(struct watch *w);

/* One number of the database; -1: it failed. */
int64_t watch_number(struct watch *w, const char *sql);

void watch_close(struct watch *w);

#endif

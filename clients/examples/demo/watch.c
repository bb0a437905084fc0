/*
 * watch.c: reads the progress of the demo from the service's database and from the broker's INFO (watch.h).
 */
#include "watch.h"

#include <stdlib.h>
#include <string.h>

static bool opened(struct watch *w)
{
    if (w->db)
        return true;
    if (sqlite3_open_v2(w->db_path, &w->db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK)
        return true;
    sqlite3_close(w->db);
    w->db = NULL;
    return false;
}

int64_t watch_number(struct watch *w, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t n = -1;
    if (!opened(w) || sqlite3_prepare_v2(w->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return -1;
    if (sqlite3_step(statement) == SQLITE_ROW)
        n = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return n;
}

bool watch_database(struct watch *w)
{
    static const char *const sql[] = {
        "SELECT count(*) FROM orders",
        "SELECT count(*) FROM refused WHERE order_id NOT NULL",
        "SELECT count(*) FROM refused WHERE order_id IS NULL",
        "SELECT coalesce(sum(commits), 0) FROM asked",
        "SELECT coalesce(sum(rollbacks), 0) FROM asked",
    };
    uint32_t *to[] = {&w->now.taken, &w->now.refused, &w->now.never, &w->now.asked_commit,
                      &w->now.asked_rollback};
    for (size_t i = 0; i < sizeof sql / sizeof *sql; i++) {
        int64_t n = watch_number(w, sql[i]);
        if (n < 0)
            return false;
        *to[i] = (uint32_t)n;
    }
    return true;
}

/* The number that follows "\nname:" in INFO's text. */
static uint64_t figure(const char *info, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = strstr(info, name); at; at = strstr(at + 1, name))
        if (at > info && at[-1] == '\n' && at[n] == ':')
            return strtoull(at + n + 1, NULL, 10);
    return 0;
}

bool watch_broker(struct watch *w, int64_t timeout_ms)
{
    hmq_reply *reply = NULL;
    hmq_request *request = hmq_request_new("info");
    hmq_request_put_text(request, "section", "transactions");
    bool answered = hmq_call(w->client, request, timeout_ms, &reply, NULL) == HMQ_OK;
    hmq_request_free(request);
    const char *info = hmq_reply_text(reply);
    if (info) {
        w->now.pending = figure(info, "pending");
        w->now.committed = w->before.committed + figure(info, "committed");
        w->now.rolledback = w->before.rolledback + figure(info, "rolledback");
        w->now.asked = w->before.asked + figure(info, "checks_asked");
    }
    hmq_reply_free(reply);
    return answered && info;
}

void watch_keep(struct watch *w)
{
    watch_broker(w, 200);
    w->before = w->now;
}

void watch_close(struct watch *w)
{
    sqlite3_close(w->db);
    w->db = NULL;
    hmq_client_free(w->client);
    w->client = NULL;
}

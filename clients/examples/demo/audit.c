/*
 * audit.c: compares the database with what the consumer groups received, order by order. See audit.h.
 */
#include "audit.h"

#include <inttypes.h>
#include <stdio.h>

struct findings {
    unsigned lost, invented, doubled, altered, redelivered;
};

/* Compares one order of the database with its ledger entry, and sets the entry's ids to 0: it was seen. */
static void compare(struct ledger *l, uint32_t order, int64_t total_cents, struct findings *f)
{
    struct entry *e = &l->entries[order];
    f->lost += e->ids == 0;
    f->doubled += e->ids > 1;
    f->altered += e->ids > 0 && e->total_cents != total_cents;
    f->redelivered += e->deliveries > 1;
    e->ids = 0;
}

unsigned audit_group(struct ledger *l, sqlite3 *db)
{
    struct findings f = {0};
    sqlite3_stmt *rows;
    uint32_t n = 0;
    int got = SQLITE_ERROR;
    if (sqlite3_prepare_v2(db, "SELECT id, total_cents FROM orders", -1, &rows, NULL) ==
        SQLITE_OK) {
        for (; (got = sqlite3_step(rows)) == SQLITE_ROW; n++)
            compare(l, (uint32_t)sqlite3_column_int64(rows, 0), sqlite3_column_int64(rows, 1), &f);
        sqlite3_finalize(rows);
    }
    for (uint32_t i = 1; i <= l->n_orders; i++)
        f.invented += l->entries[i].ids > 0;
    printf("  %-9s %6" PRIu32 " orders in the database, %6" PRIu32
           " received: %u lost, %u invented, "
           "%u published twice, %u altered, %" PRIu64 " not ours (%u redelivered)\n",
           l->group, n, l->orders, f.lost, f.invented, f.doubled, f.altered, l->strange,
           f.redelivered);
    return f.lost + f.invented + f.doubled + f.altered + (unsigned)l->strange +
           (got != SQLITE_DONE);
}

unsigned audit_rest(const struct figures *f, uint32_t n_orders)
{
    unsigned faults = 0;
    if (f->taken + f->refused != n_orders) {
        printf("  %" PRIu32 " orders were never decided\n", n_orders - f->taken - f->refused);
        faults++;
    }
    if (f->pending != 0) {
        printf("  %" PRIu64 " transactions are still open at the broker\n", f->pending);
        faults++;
    }
    return faults;
}

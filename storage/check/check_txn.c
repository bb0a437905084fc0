/*
 * check_txn.c: transactions: an open one has its messages and the rows by which it is found; a decided one has none of these.
 *
 *   X pending   Y for each message (but message 0, where X has it), J, a timer for its timeout, K or a timer for its next check
 *   X young     none of those but Y; it counts only where M says so, and it has no row O
 *   X parked    Y alone
 *   Q           how many of them a producer group has
 */
#include "storage/check/check_txn.h"

#include "storage/check/check_pgroup.h"
#include "storage/check/check_timer.h"

static bool check_txn_has_timer(struct checking *c, int64_t due_ms, uint64_t txid)
{
    struct key what = {.len = 0};
    key_u64(&what, txid);
    return check_timer_has(c, TIMER_TXN, due_ms, key_slice(&what));
}

static void check_txn_say_txn(struct checking *c, uint64_t txid, const char *what)
{
    check_say(c, "transaction %llu %s", (unsigned long long)txid, what);
}

static void check_txn_messages(struct checking *c, uint64_t txid, const struct txn_row *row)
{
    for (uint32_t i = row->first.len ? 1 : 0; i < row->n_messages && c->failed == ST_OK; i++) {
        struct key key = key_txn_message(txid, i);
        if (!check_has(c, &key))
            check_say(c, "transaction %llu has lost its message %u", (unsigned long long)txid, i);
    }
}

static void check_txn_pending(struct checking *c, uint64_t txid, const struct txn_row *row)
{
    struct key pending = key_pending(row->pgroup, txid), asked = key_check(row->pgroup, row->next_check_ms, txid);
    if (!check_has(c, &pending))
        check_txn_say_txn(c, txid, "is not among those of its producer group");
    if (!check_txn_has_timer(c, row->timeout_ms, txid))
        check_txn_say_txn(c, txid, "has no timer for its timeout");
    if (!check_has(c, &asked) && !check_txn_has_timer(c, row->next_check_ms, txid))
        check_txn_say_txn(c, txid, "has no row for its next check");
}

/* Row X. The value is copied by nobody: look-ups do not touch the iterator. */
static void check_txn_open(struct checking *c, uint64_t txid, const struct txn_row *row, struct check_pgroups *pgroups)
{
    struct key outcome = key_outcome(txid);
    bool decided = check_has(c, &outcome);
    if (row->young && (decided || !meta_young_counts(&c->meta, txid)))
        return; /* a compaction drops it */
    if (decided) {
        check_txn_say_txn(c, txid, "was decided, and is still open");
        return;
    }
    c->sums.transactions++;
    c->pending += row->state == TXN_PENDING;
    c->parked += row->state == TXN_PARKED;
    check_pgroups_count(c, pgroups, row->pgroup, row->state == TXN_PARKED);
    check_txn_messages(c, txid, row);
    if (row->state == TXN_PENDING && !row->young)
        check_txn_pending(c, txid, row);
}

static void check_txn_all_open(struct checking *c)
{
    struct key prefix;
    struct slice key, value;
    struct txn_row row;
    struct check_pgroups pgroups = {0};
    key_begin(&prefix, 'X');
    struct kv_iter *it = check_rows(c, &prefix);
    for (; check_row(c, it, &key, &value); kv_iter_next(it)) {
        if (key.len == 9 && txn_decode(value, &row) == ST_OK)
            check_txn_open(c, key_read_u64(key.data + 1), &row, &pgroups);
    }
    bool read = check_rows_end(c, it);
    if (read && !c->blind && c->failed == ST_OK) /* a row that cannot be read is told, and may be any transaction's */
        check_pgroups_compare(c, &pgroups);
    check_pgroups_free(&pgroups);
}

/* Rows of one kind whose transaction must be open: Y begins with its id, J and K end with it. */
static void check_txn_belong(struct checking *c, char kind, const char *what)
{
    struct key prefix;
    struct slice key, value;
    key_begin(&prefix, kind);
    uint64_t last = 0;
    struct kv_iter *it = check_rows(c, &prefix);
    for (; check_row(c, it, &key, &value); kv_iter_next(it)) {
        if (key.len < 10)
            continue;
        uint64_t txid = key_read_u64(kind == 'Y' ? key.data + 1 : key.data + key.len - 8);
        struct key open = key_txn(txid);
        if (txid != last && !check_has(c, &open))
            check_say(c, "transaction %llu is not open, and %s", (unsigned long long)txid, what);
        last = txid;
    }
    (void)check_rows_end(c, it);
}

void check_txn_all(struct checking *c)
{
    check_txn_all_open(c);
    check_txn_belong(c, 'Y', "has messages");
    check_txn_belong(c, 'J', "is among those of its producer group");
    check_txn_belong(c, 'K', "is to be asked about");
}

/*
 * timer.h: everything "later". An index of rows for each kind of reminder, ordered by when they fall due; TICK fires
 * them, kind by kind.
 *
 *   W GT    due group 0 topic   leases end, waiting messages come due
 *   W TXN   due txid            timeout, or the pause after the last ask, is over
 *   W DELAY due topic id token  a delayed message becomes visible
 *   W TOPIC_GONE due id name 0 from   the rows of what groups had on a deleted topic are deleted on, ...
 *   W GROUP_GONE due id name 0 from   ... and those of a deleted group (gone.h)
 *   W CUT   due id topic        the oldest messages of a topic are deleted (cut.h)
 *
 * A timer row is a reminder: when it fires, the group, transaction or message that it names is looked up, and may have
 * changed. So a row may fire early or for nothing, but never late, and it need not be deleted when it is obsolete.
 *
 * Each kind has a quota in each TICK, and kinds are fired in the order of their numbers: however many messages are due
 * at once, leases end first. A row whose work cannot be done (what it names cannot be read) is postponed: put again, a
 * second later at first, an hour at most, and the others are fired.
 *
 * apply/tick.c fires the rows. To add a kind: a line in the enum, a line in tick.c's table.
 */
#ifndef HALFMQ_STORAGE_TIMER_H
#define HALFMQ_STORAGE_TIMER_H

#include "storage/model/core.h"

/* In the order in which they are fired. */
enum timer_kind { TIMER_GT = 1, TIMER_TXN, TIMER_DELAY, TIMER_TOPIC_GONE, TIMER_GROUP_GONE, TIMER_CUT, TIMER_KINDS };

static_assert(TIMER_KINDS <= TIMER_KINDS_MAX, "the state has room for each kind");

#define TIMER_FIRST_UNKNOWN 0 /* when a row was due at first, where that cannot be read */
#define TIMER_PAUSE_MIN_MS INT64_C(1000) /* doubled each time that a row is postponed */
#define TIMER_PAUSE_MAX_MS INT64_C(3600000)

void timer_put(struct state *st, int64_t due_ms, enum timer_kind kind, struct slice what);
void timer_del(struct state *st, int64_t due_ms, enum timer_kind kind, struct slice what);

/* Puts a row again that cannot be done now. was: its value. */
void timer_postpone(struct state *st, int64_t now_ms, enum timer_kind kind, const struct timer_row *was,
                    struct slice what);

/* When the first row of any kind is due, as far as is known; INT64_MAX: there is none. */
int64_t timers_next_ms(const struct state *st);

/* A group begins: it has put no rows yet. */
void timers_begin_group(struct state *st);

#endif

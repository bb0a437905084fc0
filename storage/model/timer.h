/*
 * timer.h: everything "later". One index of rows, ordered by when they fall due; TICK fires them.
 *
 *   W due kind what ──►  GT      group 0 topic   leases end, waiting messages come due
 *                        TXN     txid            timeout, or the pause after the last ask, is over
 *                        DELAY   topic id token  a delayed message becomes visible
 *
 * A timer row is a reminder: when it fires, the group, transaction or message that it names is looked up, and may have
 * changed. So a row may fire early or for nothing, but never late, and it need not be deleted when it is obsolete.
 *
 * apply/tick.c fires the rows. To add a kind: a line in the enum, a function in tick.c's table.
 */
#ifndef HALFMQ_STORAGE_TIMER_H
#define HALFMQ_STORAGE_TIMER_H

#include "storage/model/core.h"

enum timer_kind { TIMER_GT = 1, TIMER_TXN = 3, TIMER_DELAY = 5, TIMER_KINDS };

void timer_put(struct state *st, int64_t due_ms, enum timer_kind kind, struct slice what);
void timer_del(struct state *st, int64_t due_ms, enum timer_kind kind, struct slice what);

#endif

/*
 * cut.h: deletes the oldest messages of a topic: those that are older than RETENTION, and those that are more than
 * MAXBYTES.
 *
 *   q0   floor ░░░░░░░░░│ kept ........... end       where to cut is found in the directory, with some look-ups and never
 *   q1   floor ░░░│ kept ................. end       by going over what is deleted; then the floors are raised, and the rows
 *   q2   floor │ kept .................... end       and records below them are deleted, with ranges where they are many
 *
 *   RETENTION   in each queue all records that were stored so long ago
 *   MAXBYTES    the oldest records of all queues, until no more than MAXBYTES is kept. A large record (a batch of a client)
 *               is cut between messages: the floor is inside it. The newest message always stays
 *
 * Row T with the floors and the deletions are in one commit group, so nothing is deleted that could come back. Groups find
 * out by themselves, however many there are (group.h). One step is bounded; where more is to be done, the timer
 * row is due again at once.
 */
#ifndef HALFMQ_STORAGE_CUT_H
#define HALFMQ_STORAGE_CUT_H

#include "storage/model/topic.h"

/* Is called when TIMER_CUT fires. ST_GONE: there is no such topic any more. ST_IO, ST_DAMAGED, ST_NOMEM: nothing was
 * changed. */
enum status cut_tick(struct state *st, int64_t due_ms, struct slice what) MUST_CHECK;

#endif

/* wal_turn.h: the log goes on in another file: at the start, and when one is full. */
#ifndef HALFMQ_BROKER_WAL_TURN_H
#define HALFMQ_BROKER_WAL_TURN_H

#include "broker/wal/wal_set.h"

/* Makes a spare file, which is mostly there, `now`, or else a new one, which grows with each record; what was `now`
 * becomes live. sync: the header is on disk when this returns, and the end of prev, the file with the record before,
 * says that there is this one. prev may be NULL. Under tail_lock. False: errno says why. */
bool wal_turn(struct wal *w, struct wal_file *prev, bool sync);

#endif

/* wal_seen.h: public: what was seen in a log that nobody has open (wal_look.h). */
#ifndef HALFMQ_BROKER_WAL_SEEN_H
#define HALFMQ_BROKER_WAL_SEEN_H

#include <stdbool.h>
#include <stdint.h>

struct wal_seen {
    uint64_t last;     /* the last batch that a start would have: of the log, or `after` */
    uint64_t groups;   /* batches behind `after` */
    uint64_t files, bytes;
    uint64_t store;    /* the id of the store that it belongs to; 0: it has none */
    uint64_t dropped;  /* bytes behind the last whole record, which a start would drop */
    uint64_t skipped;  /* damaged places, of which the store has what was there */
    uint64_t headless; /* files that were used and have no sound header */
    bool ends_early;   /* it was longer when the broker was stopped cleanly */
    bool damaged;      /* a start is refused; ... */
    char text[512];    /* ... why */
};

#endif

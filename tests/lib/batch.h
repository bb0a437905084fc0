/* batch.h: makes batches for PRODUCE as a client does, for tests. */
#ifndef HALFMQ_TESTS_BATCH_H
#define HALFMQ_TESTS_BATCH_H

#include "protocol/record/record.h"

struct batch {
    struct buf record, starts;
    uint32_t n;
};

void batch_init(struct batch *b);
void batch_free(struct batch *b);

/* Adds a message. Its seq is set here; born (0) and its expiry (a TTL) are relative to the time it is stored. */
void batch_add(struct batch *b, struct message m);

/* Adds a message that has only a body. */
void batch_add_body(struct batch *b, const char *body);

/* Returns the finished batch, valid until batch_free. */
struct slice batch_end(struct batch *b);

#endif

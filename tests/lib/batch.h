/* batch.h: batches as a client makes them, for tests. */
#ifndef HALFMQ_TESTS_BATCH_H
#define HALFMQ_TESTS_BATCH_H

#include "protocol/record/record.h"

struct batch {
    struct buf record, starts;
    uint32_t n;
};

void batch_init(struct batch *b);
void batch_free(struct batch *b);

/* m's seq is set; born 0 and its expiry (a TTL) are relative to when it is stored. */
void batch_add(struct batch *b, struct message m);

/* A message of that body and nothing else. */
void batch_add_body(struct batch *b, const char *body);

/* The finished batch, good until batch_free. */
struct slice batch_end(struct batch *b);

/* What PRODUCE answers, as store_render writes it, where the same DEDUP id was answered with place before.
 * False: that is neither a place nor a token. */
bool batch_answer_again(const char *place, char *out, size_t size);

#endif

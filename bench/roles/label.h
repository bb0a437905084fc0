/*
 * label.h: what producers put on a message beside its body and key, for groups that choose by it: a tag and a number
 * (--tags), and a priority (--priority).
 *
 *   --tags 3        message 0: TAG t0, PROP n 0      message 1: TAG t1, PROP n 1      message 2: t2, 2      3: t0, 0 ...
 *
 * Tags come in turn and not by chance, so that a filter for one of ten matches a tenth exactly. All of it is computed from
 * the message's place in the sequence, so a repeat is the same message.
 */
#ifndef HALFMQ_BENCH_LABEL_H
#define HALFMQ_BENCH_LABEL_H

#include "bench/load/load.h"
#include "protocol/record/message.h"

#define LABEL_BYTES 24

struct label {
    char tag[LABEL_BYTES], number[LABEL_BYTES]; /* "t7", "7" */
    int tag_len, number_len; /* 0: it has none */
    int priority; /* -1: it has none */
    uint8_t props[LABEL_BYTES + 4]; /* of a message in a record */
};

/* Makes message `seq`'s; c: its own chance. */
void label_make(struct label *l, const struct options *o, uint64_t seq, struct chance *c);

/* Puts it on a request of one message, and on a message of a record, which cannot have a priority. They borrow it. */
void label_ask(const struct label *l, struct wire_ask *a);
void label_message(struct label *l, struct message *m);

#endif

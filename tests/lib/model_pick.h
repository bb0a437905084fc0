/* model_pick.h: picks what the next random command is about: options, a transaction, a receipt, a range. */
#ifndef HALFMQ_TESTS_MODEL_PICK_H
#define HALFMQ_TESTS_MODEL_PICK_H

#include "tests/lib/batch.h"
#include "tests/lib/model.h"
#include "storage/policy.h"
#include "tests/lib/prng.h"

/* Random options for a SEND or HALF. A delayed message names its queue, so that the model knows it. */
struct pick_choice {
    int queue;
    int64_t ttl, delay, at; /* -1, 0, 0: none */
    uint32_t key;           /* ORDER; 0: none */
    uint32_t priority, tag; /* 4, 0: none given */
    char text[140];
};

struct pick_choice pick_choice(const struct model *m, struct prng *p, int n_queues);

/* A transaction in that state (M_NONE: in any), or NULL. pick_txns_free: how many more the model has room for. */
struct m_txn *pick_txn(struct model *m, struct prng *p, enum m_fate fate);
uint32_t pick_txns_free(const struct model *m);

/* Was somebody asked about a transaction that is still pending? A new CHECKMAX applies from the next ask on, which the model
 * does not track. */
bool pick_anybody_asked(const struct model *m);

/* Settings with which much happens in a short time. */
void pick_hurry(struct policy *policy);

/* The settings of the broker apply to the producer group. */
void pick_policy(struct model *m, const struct policy *policy);

/* Begins a batch of n messages with the next serial numbers; every other one has the TTL, the others a KEY. */
void pick_batch(struct model *m, struct prng *p, struct batch *b, int n, int64_t ttl);

/* A receipt of a group, of a message that is leased or of one that is not. */
struct pick_receipt {
    int group, topic, queue;
    uint32_t offset, attempt;
    bool holds;
    char text[40];
};

void pick_receipt(const struct model *m, struct prng *p, struct pick_receipt *r);

/* A range of a few offsets around that of a receipt. */
struct pick_range {
    struct pick_receipt r;
    uint32_t first, last, held;
    char text[40];
    char acked[12]; /* held, as text */
};

void pick_range(const struct model *m, struct prng *p, struct pick_range *x);

/* What is answered to ACK (what 0), EXTEND (1), or RELEASE (2) of it. */
const char *pick_range_wanted(const struct model *m, struct pick_range *x, int what);

/* It was acknowledged (what 0), extended by ms (1), or released (2). */
void pick_range_done(struct model *m, const struct pick_range *x, int what, int64_t ms);

#endif

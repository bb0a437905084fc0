/*
 * model_keep.h: RETENTION and MAXBYTES in the model: which messages may go, which must be gone, and which must stay.
 *
 *   store   floor ─────────► higher floor       may go: what is too old, or was beyond MAXBYTES and is oldest of all
 *   model   judges the step, and forgets        must go: what is too old for longer than the contract allows, and
 *           what is below                                what is beyond twice MAXBYTES
 */
#ifndef HALFMQ_TESTS_MODEL_KEEP_H
#define HALFMQ_TESTS_MODEL_KEEP_H

#include "tests/lib/model.h"
#include "tests/lib/prng.h"
#include "tests/lib/shell.h"

/* Random settings of a topic, and the words that set them. */
struct m_setting {
    int queues; /* 0: none given */
    int64_t retention_ms, max_bytes; /* -1: none given */
    char text[120];
};
struct m_setting model_setting(struct prng *p, bool made);

/* Judge TOPIC CREATE and TOPIC SET. */
void model_topic_created(struct model *m, int topic, const struct m_setting *c, const char *said);
void model_topic_set(struct model *m, int topic, const struct m_setting *c, const char *said);

/* Judges what the TICKs have deleted, until nothing was due any more. */
void model_kept(struct model *m, struct shell *s);

#endif

/*
 * troubles.h: which errors there were, each text once with how often; the first few of them.
 */
#ifndef HALFMQ_BENCH_TROUBLES_H
#define HALFMQ_BENCH_TROUBLES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/slice.h"

#define TROUBLES_MAX 5
#define TROUBLE_BYTES 200

struct troubles {
    pthread_mutex_t lock;
    unsigned n;
    struct trouble {
        char text[TROUBLE_BYTES];
        uint64_t times;
    } at[TROUBLES_MAX];
    char fatal[TROUBLE_BYTES]; /* why the run was given up; empty: it was not */
};

void troubles_init(struct troubles *t);
void troubles_fini(struct troubles *t);

/* Any thread. */
void troubles_note(struct troubles *t, struct slice text);

/* The first one stays. */
void troubles_fatal(struct troubles *t, const char *text);

#endif

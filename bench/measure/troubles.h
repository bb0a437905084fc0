/*
 * troubles.h: the errors of a run: the first few texts, each with how often it occurred.
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

/* Counts an error. Any thread. */
void troubles_note(struct troubles *t, struct slice text);

/* Notes why the run was given up. Only the first reason is kept. */
void troubles_fatal(struct troubles *t, const char *text);

#endif

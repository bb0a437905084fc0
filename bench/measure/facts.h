/*
 * facts.h: names and texts about the surroundings of a run, in order: machine, kernel, disk,
 * server, settings.
 */
#ifndef HALFMQ_BENCH_FACTS_H
#define HALFMQ_BENCH_FACTS_H

#include <stdbool.h>
#include <stddef.h>

#define FACTS_MAX 48
#define FACT_NAME_BYTES 32
#define FACT_BYTES 200

struct facts {
    unsigned n;
    struct fact {
        char name[FACT_NAME_BYTES];
        char text[FACT_BYTES];
    } at[FACTS_MAX];
};

/* Cuts what is too long; beyond FACTS_MAX nothing is added. An empty text is left out. */
void facts_add(struct facts *f, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* NULL: not known. */
const char *facts_get(const struct facts *f, const char *name);

#endif

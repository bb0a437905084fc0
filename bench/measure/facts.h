/*
 * facts.h: facts about the environment of a run, each a name and a text: machine, kernel, disk, server, settings.
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

/* Adds a fact. A text that is too long is cut; an empty one, or one after FACTS_MAX, is not added. */
void facts_add(struct facts *f, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* NULL: not known. */
const char *facts_get(const struct facts *f, const char *name);

#endif

/*
 * keys.h: which key a message gets: none, all keys equally often, or a few keys far more often than the rest.
 *
 *   uniform        1 of --key-count keys
 *   zipf, zipf:S   key number k (from 1) with a weight of 1 / k^S; S is 0.99 unless given
 *
 * Zipf draws use a table with a column for each key, which holds the shares of at most two keys (the alias method). A
 * draw takes one random number and one look into the table, however many keys there are.
 */
#ifndef HALFMQ_BENCH_KEYS_H
#define HALFMQ_BENCH_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/base/chance.h"

#define KEYS_COUNT_MAX 16777216

enum keys_kind { KEYS_NONE, KEYS_UNIFORM, KEYS_ZIPF };

struct keys_plan {
    enum keys_kind kind;
    double exponent;
};

/* "none", "uniform", "zipf", "zipf:1.2" */
bool keys_parse(const char *text, struct keys_plan *ret_plan);

struct keys {
    uint32_t n;
    float *keep; /* column i: its own key up to this share ... */
    uint32_t *alias; /* ... and this one above it; both NULL: uniform */
};

/* n keys, 1..KEYS_COUNT_MAX. False: no memory. */
bool keys_init(struct keys *k, const struct keys_plan *plan, uint32_t n);
void keys_fini(struct keys *k);

/* 0 .. n-1. Any number of threads, each with its own chance. */
uint32_t keys_draw(const struct keys *k, struct chance *c);

#endif

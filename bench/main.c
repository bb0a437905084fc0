/*
 * main.c: halfmq-bench, the load tester. A mode is a line in mode.def and a function in `mains`.
 */
#include <stdio.h>
#include <string.h>

#include "bench/modes/beside.h"
#include "bench/modes/compare.h"
#include "bench/modes/search.h"
#include "bench/options/help.h"
#include "bench/options/options_parse.h"
#include "bench/report/assertion.h"
#include "bench/report/ending.h"
#include "bench/run/run.h"
#include "halfmq_version.h"

/* send, consume, txn, e2e, verify: one load, one result. */
static int one_load(const struct options *o)
{
    struct result r = {0};
    char err[256];
    int end = ENDING_FAILED;
    if (run_load(o, o->mode, false, &r, err, sizeof err))
        end = ending_of(&r);
    else
        fprintf(stderr, "halfmq-bench: %s\n", err);
    result_fini(&r);
    return end;
}

static int compare(const struct options *o)
{
    return compare_main(o->files[0], o->files[1]);
}

static int (*const mains[MODE_COUNT])(const struct options *) = {
    [MODE_send] = one_load,   [MODE_consume] = one_load, [MODE_txn] = one_load,
    [MODE_e2e] = one_load,    [MODE_verify] = one_load,  [MODE_search] = search_main,
    [MODE_compare] = compare, [MODE_redis] = beside_main};

int main(int argc, char **argv)
{
    struct options o;
    switch (options_parse(argc, argv, &o)) {
    case OPTIONS_HELP: help_print(); return ENDING_GOOD;
    case OPTIONS_VERSION: puts("halfmq-bench " HALFMQ_VERSION); return ENDING_GOOD;
    case OPTIONS_WRONG: return ENDING_USAGE;
    case OPTIONS_RUN: break;
    }
    for (unsigned i = 0; i < o.assert.n; i++) {
        if (!assertion_sane(o.assert.at[i]))
            return ENDING_USAGE;
    }
    return mains[o.mode](&o);
}

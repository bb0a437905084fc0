/*
 * main.c: halfmq-bench, the load tester. A mode is a line in mode.def and a function in `mains`.
 */
#include <stdio.h>

#include "bench/modes/beside.h"
#include "bench/modes/compare.h"
#include "bench/modes/search.h"
#include "bench/modes/single.h"
#include "bench/options/help.h"
#include "bench/options/options_parse.h"
#include "bench/report/assertion.h"
#include "bench/report/ending.h"
#include "halfmq_version.h"

static int load_main(const struct options *o)
{
    return single_main(o, false);
}

static int compare(const struct options *o)
{
    return compare_main(o->files[0], o->files[1]);
}

static int (*const mains[MODE_COUNT])(const struct options *) = {
    [MODE_send] = load_main,   [MODE_consume] = load_main, [MODE_txn] = load_main,
    [MODE_e2e] = load_main,    [MODE_verify] = load_main,  [MODE_search] = search_main,
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

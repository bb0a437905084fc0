/* beside.c: runs HalfMQ and Redis one after the other, several rounds; each round gives a ratio, and their median is
 * printed. */
#include "bench/modes/beside.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/base/units.h"
#include "bench/measure/stats.h"
#include "bench/modes/single.h"
#include "bench/report/ending.h"
#include "bench/run/run.h"

struct beside_round {
    double rate, p50, p99;
};

static bool beside_one(const struct options *o, bool redis, struct beside_round *ret_round)
{
    struct options mine = *o;
    struct result r = {0};
    char err[256];
    mine.quiet = true;
    if (!redis)
        mine.port = o->halfmq_port;
    bool ok = run_load(&mine, options_load(o), redis, &r, err, sizeof err);
    if (ok && (!result_good(&r) || r.elapsed_s <= 0)) {
        snprintf(err, sizeof err, "the load on %s failed: %s", redis ? "Redis" : "HalfMQ",
                 r.fatal[0]     ? r.fatal
                 : r.n_troubles ? r.troubles[0].text
                 : "nothing was measured");
        ok = false;
    }
    if (ok)
        *ret_round = (struct beside_round){result_messages_per_s(&r),
                                    (double)hist_quantile(&r.sum.hist[r.sum.main], 0.5),
                                    (double)hist_quantile(&r.sum.hist[r.sum.main], 0.99)};
    else
        fprintf(stderr, "halfmq-bench: %s\n", err);
    result_fini(&r);
    return ok;
}

static void beside_tell(const char *name, const struct beside_round *r)
{
    char rate[16], p50[16], p99[16];
    printf("  %-8s%9s/s  p50 %-8s p99 %s\n", name, units_put_count(r->rate, rate, sizeof rate),
           units_put_duration(r->p50, p50, sizeof p50),
           units_put_duration(r->p99, p99, sizeof p99));
}

static int beside_in_turns(const struct options *o)
{
    double *ratio = calloc(o->rounds, sizeof *ratio);
    size_t n = 0;
    while (ratio && n < o->rounds && !run_interrupted()) {
        struct beside_round ours, theirs;
        if (!beside_one(o, false, &ours) || !beside_one(o, true, &theirs))
            break;
        ratio[n] = ours.rate / theirs.rate;
        printf("round %zu: HalfMQ / Redis %.2f\n", n + 1, ratio[n]);
        beside_tell("HalfMQ", &ours);
        beside_tell("Redis", &theirs);
        fflush(stdout);
        n++;
    }
    bool ok = ratio && n == o->rounds;
    if (ok) {
        double middle = stats_median(ratio, n);
        printf("HalfMQ / Redis, %s: %.2f (%.2f-%.2f), median of %zu rounds\n", o->of, middle,
               ratio[0], ratio[n - 1], n);
    }
    free(ratio);
    return ok ? ENDING_GOOD : ENDING_FAILED;
}

int beside_main(const struct options *o)
{
    return o->halfmq_port ? beside_in_turns(o) : single_main(o, true);
}

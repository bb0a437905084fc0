/*
 * search.c: runs one load after another, to find the highest rate at which p99 keeps its bound (search.h says
 * how).
 */
#include "bench/modes/search.h"

#include <stdio.h>
#include <string.h>

#include "bench/base/units.h"
#include "bench/report/ending.h"
#include "bench/run/run.h"

#define PROBE_NS (4 * NS_PER_S)
#define PROBE_WARMUP_NS NS_PER_S
#define PROBES_MAX 40
#define TRIES 2
#define REACHED 0.98
#define RATE_LEAST 10

double search_next(double first, double held, double failed, double precision)
{
    if (failed <= 0)
        return held > 0 ? 2 * held : first;
    if (held <= 0 && failed <= RATE_LEAST)
        return 0;
    if (held <= 0)
        return failed / 2 > RATE_LEAST ? failed / 2 : RATE_LEAST;
    return failed / held - 1 > precision ? (held + failed) / 2 : 0;
}

/* An open loop does everything in the end. A rate was reached if that took no longer than planned. */
static bool search_holds(const struct options *o, const struct result *r, double rate)
{
    double planned_s = (double)o->duration / 1e9,
           p99 = (double)hist_quantile(&r->sum.hist[r->sum.main], 0.99);
    double took_s = r->elapsed_s > planned_s ? r->elapsed_s : planned_s;
    bool reached = (double)r->sum.total.messages + 1 >= REACHED * rate * took_s;
    return p99 <= (double)o->p99 && reached && result_good(r) && r->sum.hist[r->sum.main].total > 0;
}

static void search_tell(double rate, const struct result *r, bool held)
{
    char text[16], p99[16];
    const struct hist *h = &r->sum.hist[r->sum.main];
    fprintf(stderr, "%8s/s  p99 %-8s %s%s\n", units_put_count(rate, text, sizeof text),
            units_put_duration((double)hist_quantile(h, 0.99), p99, sizeof p99),
            held ? "holds" : "does not hold", r->fatal[0] ? ": given up" : "");
}

static struct options search_probe_of(const struct options *o)
{
    struct options probe = *o;
    probe.quiet = true;
    probe.messages = 0;
    if (!o->given[BENCH_duration])
        probe.duration = PROBE_NS;
    if (!o->given[BENCH_warmup])
        probe.warmup = PROBE_WARMUP_NS;
    if (!o->given[BENCH_inflight])
        probe.inflight = 64 * o->connections;
    return probe;
}

static bool search_run(struct options *p, double rate, struct result *ret_result)
{
    char err[256];
    p->rate = rate;
    if (run_load(p, options_load(p), false, ret_result, err, sizeof err))
        return true;
    fprintf(stderr, "halfmq-bench: %s\n", err);
    result_fini(ret_result);
    return false;
}

/* The first rate: --rate, or else half of what a closed loop reaches. 0: it could not run. */
static double search_first_rate(const struct options *o, struct options *p)
{
    struct result r = {0};
    char text[16];
    if (o->rate > 0)
        return o->rate;
    p->inflight = o->inflight;
    if (!search_run(p, 0, &r))
        return 0;
    double highest = result_messages_per_s(&r);
    fprintf(stderr, "%8s/s  in a closed loop\n",
            units_put_count(highest, text, sizeof text));
    result_fini(&r);
    p->inflight = search_probe_of(o).inflight;
    return highest / 2;
}

/* Tries a rate once, and keeps the result in *best if it held. False: it could not run. */
static bool search_try_rate(struct options *p, double rate, bool *ret_held, struct result *best)
{
    struct result r = {0};
    if (!search_run(p, rate, &r))
        return false;
    *ret_held = search_holds(p, &r, rate);
    search_tell(rate, &r, *ret_held);
    result_fini(*ret_held ? best : &r);
    if (*ret_held)
        *best = r;
    return true;
}

/* Tries a rate up to TRIES times: a slow phase of the machine looks like a rate that is too high. */
static bool search_probe(struct options *p, double rate, double *held, double *failed, struct result *best)
{
    bool ok = false;
    for (int i = 0; i < TRIES && !ok && !run_interrupted(); i++) {
        if (!search_try_rate(p, rate, &ok, best))
            return false;
    }
    *(ok ? held : failed) = rate;
    return true;
}

int search_main(const struct options *o)
{
    struct options p = search_probe_of(o);
    struct result best = {0};
    double held = 0, failed = 0, rate, first = search_first_rate(o, &p);
    char text[16], bound[16];
    for (int i = 0; i < PROBES_MAX && first > 0 && !run_interrupted(); i++) {
        rate = search_next(first, held, failed, o->precision);
        if (rate <= 0)
            break;
        if (!search_probe(&p, rate, &held, &failed, &best)) {
            result_fini(&best);
            return ENDING_FAILED;
        }
    }
    units_put_duration((double)o->p99, bound, sizeof bound);
    int end = ENDING_FAILED;
    if (held > 0) {
        printf("highest rate with p99 under %s: %s/s\n\n", bound,
               units_put_count(held, text, sizeof text));
        end = ending_of(&best);
    } else {
        printf("no rate with a p99 under %s was found\n", bound);
    }
    result_fini(&best);
    return end;
}

/* assertion.c: reads a name, a comparison and a bound, and checks the bound. A new comparison is a line in
 * `comparisons`. */
#include "bench/report/assertion.h"

#include <stdio.h>
#include <string.h>

#include "bench/base/units.h"
#include "bench/report/report.h"

#define NAME_BYTES 64

static const struct comparison {
    const char *sign;
    bool less, equal, more; /* how the value may stand to the bound */
} comparisons[] = {{"<=", true, true, false}, {">=", false, true, true},  {"<", true, false, false},
                   {">", false, false, true}, {"==", false, true, false}, {"=", false, true, false}};

/* Splits the text into its parts. NULL: it has no comparison, or no name before it. */
static const struct comparison *assertion_split(const char *text, char *name, size_t size,
                                                const char **ret_bound)
{
    size_t len = strcspn(text, "<>=");
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
        size_t n = strlen(comparisons[i].sign);
        if (len == 0 || len >= size || strncmp(text + len, comparisons[i].sign, n) != 0)
            continue;
        snprintf(name, size, "%.*s", (int)len, text);
        *ret_bound = text + len + n;
        return &comparisons[i];
    }
    return NULL;
}

static bool assertion_bound_of(const char *text, bool is_duration, double *ret_v)
{
    int64_t ns;
    if (!is_duration)
        return units_rate(text, ret_v);
    if (!units_duration(text, &ns))
        return false;
    *ret_v = (double)ns;
    return true;
}

static const struct comparison *assertion_parse(const struct result *r, const char *text, double *ret_v,
                                                double *ret_bound, bool *ret_is_duration)
{
    char name[NAME_BYTES];
    const char *bound = NULL;
    const struct comparison *c = assertion_split(text, name, sizeof name, &bound);
    if (!c) {
        fprintf(stderr,
                "halfmq-bench: --assert needs a name, one of < <= > >= =, and a value, such as 'p99<5ms'; "
                "'%s' is not that\n",
                text);
        return NULL;
    }
    if (!report_value(r, name, ret_v, ret_is_duration)) {
        fprintf(
            stderr,
            "halfmq-bench: --assert: there is no value named '%s'; there are messages_per_s, bytes_per_s, "
            "transactions_per_s, errors, lost, doubled, reordered, p50 ... p99999, max, mean, and "
            "those of one latency, such as e2e.p99\n",
            name);
        return NULL;
    }
    if (!assertion_bound_of(bound, *ret_is_duration, ret_bound)) {
        fprintf(stderr, "halfmq-bench: --assert: '%s' is not a %s\n", bound,
                *ret_is_duration ? "duration such as 5ms" : "number such as 100k");
        return NULL;
    }
    return c;
}

bool assertion_sane(const char *text)
{
    static const struct result nothing;
    double v, bound;
    bool is_duration;
    return assertion_parse(&nothing, text, &v, &bound, &is_duration) != NULL;
}

bool assertion_kept(const struct result *r, const char *text)
{
    double v, bound;
    bool is_duration;
    char value[24];
    const struct comparison *c = assertion_parse(r, text, &v, &bound, &is_duration);
    if (!c)
        return false;
    if (v < bound ? c->less : v > bound ? c->more : c->equal)
        return true;
    fprintf(stderr, "halfmq-bench: missed: %s; the value is %s\n", text,
            is_duration ? units_put_duration(v, value, sizeof value)
            : units_put_count(v, value, sizeof value));
    return false;
}

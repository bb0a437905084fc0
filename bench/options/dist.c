/* dist.c: reads distributions and draws from them. A new kind is a parser in `forms`, and a case in draw, max and
 * mean. */
#include "bench/options/dist.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/base/units.h"

#define TEXT_MAX 256
#define EXPONENTIAL_CUT 16

static bool parse_fixed(char *text, dist_number number, struct dist *d)
{
    d->kind = DIST_FIXED;
    return number(text, &d->low);
}

static bool parse_range(char *text, dist_number number, struct dist *d)
{
    char *dash = strchr(text, '-');
    if (!dash)
        return false;
    *dash = '\0';
    d->kind = DIST_RANGE;
    return number(text, &d->low) && number(dash + 1, &d->high) && d->low <= d->high;
}

static bool parse_exponential(char *text, dist_number number, struct dist *d)
{
    d->kind = DIST_EXPONENTIAL;
    return strncmp(text, "exp:", 4) == 0 && number(text + 4, &d->low) &&
           d->low <= UINT64_MAX / EXPONENTIAL_CUT;
}

/* value=weight; the weight is added to *sum. */
static bool parse_part(char *text, dist_number number, struct dist *d, double *sum)
{
    double weight;
    char *equals = strchr(text, '=');
    if (!equals || d->n_mix == DIST_MIX_MAX)
        return false;
    *equals = '\0';
    if (!number(text, &d->value[d->n_mix]) || !units_rate(equals + 1, &weight) || weight <= 0)
        return false;
    *sum += weight;
    d->upto[d->n_mix++] = *sum;
    return true;
}

static bool parse_mix(char *text, dist_number number, struct dist *d)
{
    double sum = 0;
    char *rest = text + 4, *part;
    if (strncmp(text, "mix:", 4) != 0)
        return false;
    d->kind = DIST_MIX;
    while ((part = strsep(&rest, ",")) != NULL) {
        if (!parse_part(part, number, d, &sum))
            return false;
    }
    for (unsigned i = 0; i < d->n_mix; i++)
        d->upto[i] /= sum;
    return d->n_mix > 0;
}

bool dist_parse(const char *text, dist_number number, struct dist *ret_dist)
{
    static bool (*const forms[])(char *, dist_number, struct dist *) = {
        parse_fixed, parse_range, parse_exponential, parse_mix};
    if (strlen(text) >= TEXT_MAX)
        return false;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char copy[TEXT_MAX];
        struct dist d = {0};
        snprintf(copy, sizeof copy, "%s", text);
        if (forms[i](copy, number, &d)) {
            *ret_dist = d;
            return true;
        }
    }
    return false;
}

uint64_t dist_draw(const struct dist *d, struct chance *c)
{
    switch (d->kind) {
    case DIST_FIXED: return d->low;
    case DIST_RANGE: return d->low + chance_below(c, d->high - d->low + 1);
    case DIST_EXPONENTIAL: {
        double v = -log(1 - chance_unit(c)) * (double)d->low;
        uint64_t most = dist_max(d);
        return v < (double)most ? (uint64_t)v : most;
    }
    case DIST_MIX: break;
    }
    double u = chance_unit(c);
    unsigned i = 0;
    while (i + 1 < d->n_mix && u >= d->upto[i])
        i++;
    return d->value[i];
}

uint64_t dist_max(const struct dist *d)
{
    uint64_t most = 0;
    switch (d->kind) {
    case DIST_FIXED: return d->low;
    case DIST_RANGE: return d->high;
    case DIST_EXPONENTIAL: return d->low * EXPONENTIAL_CUT;
    case DIST_MIX: break;
    }
    for (unsigned i = 0; i < d->n_mix; i++)
        most = d->value[i] > most ? d->value[i] : most;
    return most;
}

double dist_mean(const struct dist *d)
{
    double mean = 0;
    switch (d->kind) {
    case DIST_FIXED:
    case DIST_EXPONENTIAL: return (double)d->low;
    case DIST_RANGE: return ((double)d->low + (double)d->high) / 2;
    case DIST_MIX: break;
    }
    for (unsigned i = 0; i < d->n_mix; i++)
        mean += (double)d->value[i] * (d->upto[i] - (i ? d->upto[i - 1] : 0));
    return mean;
}

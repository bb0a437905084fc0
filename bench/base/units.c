/* units.c: a number is digits and a unit that stands in a table. A new unit is a line in its table. */
#include "bench/base/units.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit_suffix {
    const char *name;
    double factor;
};

static const struct unit_suffix durations[] = {{"", 1e9},  {"ns", 1},   {"us", 1e3},   {"ms", 1e6},
                                               {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {NULL, 0}};
static const struct unit_suffix counts[] = {{"", 1},    {"k", 1e3}, {"K", 1e3},
                                            {"M", 1e6}, {"G", 1e9}, {NULL, 0}};
static const struct unit_suffix sizes[] = {
    {"", 1},       {"B", 1},       {"k", 1024},     {"K", 1024},      {"KB", 1024},
    {"KiB", 1024}, {"M", 1048576}, {"MB", 1048576}, {"MiB", 1048576}, {NULL, 0}};
static const struct unit_suffix shares[] = {{"", 1}, {"%", 0.01}, {NULL, 0}};

/* strtod also takes hexadecimal, "inf" and blanks; here a number must begin with a digit or a point. */
static bool scaled(const char *text, const struct unit_suffix *units, double *ret_v)
{
    char *end;
    if (!isdigit((unsigned char)*text) && *text != '.')
        return false;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return false;
    double v = strtod(text, &end);
    for (; units->name; units++) {
        if (strcmp(units->name, end) == 0 && isfinite(v)) {
            *ret_v = v * units->factor;
            return true;
        }
    }
    return false;
}

bool units_duration(const char *text, int64_t *ret_ns)
{
    double v;
    if (!scaled(text, durations, &v) || v > 366.0 * 24 * 3600e9)
        return false;
    *ret_ns = (int64_t)llround(v);
    return true;
}

bool units_rate(const char *text, double *ret_per_s)
{
    double v;
    if (!scaled(text, counts, &v) || v > 1e12)
        return false;
    *ret_per_s = v;
    return true;
}

bool units_count(const char *text, uint64_t *ret_n)
{
    double v;
    if (!scaled(text, counts, &v) || v > 1e15 || v != floor(v))
        return false;
    *ret_n = (uint64_t)v;
    return true;
}

bool units_size(const char *text, uint64_t *ret_bytes)
{
    double v;
    if (!scaled(text, sizes, &v) || v > 1e12)
        return false;
    *ret_bytes = (uint64_t)llround(v);
    return true;
}

bool units_share(const char *text, double *ret_share)
{
    double v;
    if (!scaled(text, shares, &v) || v > 1)
        return false;
    *ret_share = v;
    return true;
}

/* Three significant digits, never a power of ten written out. */
static const char *put_digits(double v, const char *unit, char *out, size_t size)
{
    int digits = v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2;
    snprintf(out, size, "%.*f%s", digits, v, unit);
    return out;
}

const char *units_put_duration(double ns, char *out, size_t size)
{
    if (ns < 999.5e3)
        return put_digits(ns / 1e3, "us", out, size);
    if (ns < 999.5e6)
        return put_digits(ns / 1e6, "ms", out, size);
    return put_digits(ns / 1e9, "s", out, size);
}

const char *units_put_count(double n, char *out, size_t size)
{
    if (n < 999.5) {
        snprintf(out, size, n == floor(n) ? "%.0f" : "%.1f", n);
        return out;
    }
    if (n < 999.5e3)
        return put_digits(n / 1e3, "k", out, size);
    if (n < 999.5e6)
        return put_digits(n / 1e6, "M", out, size);
    return put_digits(n / 1e9, "G", out, size);
}

/*
 * text_time.c: durations (`250`, `10s`, `2h`) and times (Unix milliseconds, RFC 3339).
 *
 * RFC 3339 is read by hand: strptime knows neither fractions nor offsets, and depends on the
 * locale. Bounds: a time lies in the years 0000..9999 when written as a date, and is any
 * non-negative 63-bit number of milliseconds otherwise. A leap second (":60") counts as the second
 * after it.
 */
#include "protocol/base/text.h"

struct time_unit {
    const char *word;
    int64_t ms;
};

static const struct time_unit units[] = {
    {"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
};

bool text_duration(struct slice s, int64_t *ret_ms)
{
    size_t digits = 0;
    uint64_t n;
    while (digits < s.len && s.data[digits] >= '0' && s.data[digits] <= '9')
        digits++;
    if (!text_uint(slice_of(s.data, digits), &n))
        return false;
    struct slice word = slice_of(s.data + digits, s.len - digits);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!slice_equal(word, slice_str(units[i].word)))
            continue;
        if (n > (uint64_t)(DURATION_MS_MAX / units[i].ms))
            return false;
        *ret_ms = (int64_t)n * units[i].ms;
        return true;
    }
    return false;
}

/* Takes exactly n digits; bad where they are not digits. */
static int64_t digits_of(struct cursor *c, size_t n)
{
    struct slice s = cursor_bytes(c, n);
    uint64_t v = 0;
    if (!text_uint(s, &v))
        c->bad = true;
    return (int64_t)v;
}

static void expect(struct cursor *c, char upper)
{
    uint8_t b = cursor_u8(c);
    if (b >= 'a' && b <= 'z')
        b = (uint8_t)(b - 32);
    if (b != (uint8_t)upper)
        c->bad = true;
}

/* The part of a second behind a '.', in ms; digits past the third are dropped. */
static int64_t fraction_ms(struct cursor *c)
{
    int64_t ms = 0, worth = 100;
    if (cursor_left(c) == 0 || *c->at != '.')
        return 0;
    c->at++;
    if (cursor_left(c) == 0 || *c->at < '0' || *c->at > '9')
        c->bad = true;
    while (cursor_left(c) > 0 && *c->at >= '0' && *c->at <= '9') {
        ms += (*c->at - '0') * worth;
        worth /= 10;
        c->at++;
    }
    return ms;
}

/* "Z" or "+hh:mm"; what local time is ahead of UTC, in ms. */
static int64_t offset_ms(struct cursor *c)
{
    uint8_t sign = cursor_u8(c);
    if (sign == 'Z' || sign == 'z')
        return 0;
    int64_t hours = digits_of(c, 2);
    expect(c, ':');
    int64_t minutes = digits_of(c, 2);
    if ((sign != '+' && sign != '-') || hours > 23 || minutes > 59)
        c->bad = true;
    int64_t ms = (hours * 60 + minutes) * 60000;
    return sign == '-' ? -ms : ms;
}

static bool leap(int64_t year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

static int64_t days_in(int64_t year, int64_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && leap(year) ? 1 : 0);
}

/* Days from 1970-01-01 to the date; years before it are counted down. */
static int64_t days_since_epoch(int64_t year, int64_t month, int64_t day)
{
    int64_t before = year - 1; /* whole years that have passed since year 1 */
    int64_t leaps = year > 0 ? before / 4 - before / 100 + before / 400 : -1;
    int64_t days = before * 365 + leaps - 719162; /* 0001-01-01 .. 1970-01-01 */
    for (int64_t m = 1; m < month; m++)
        days += days_in(year, m);
    return days + day - 1;
}

static bool rfc3339(struct slice s, int64_t *ret_ms)
{
    struct cursor c = cursor_of(s);
    int64_t year = digits_of(&c, 4);
    expect(&c, '-');
    int64_t month = digits_of(&c, 2);
    expect(&c, '-');
    int64_t day = digits_of(&c, 2);
    if (c.bad || month < 1 || month > 12 || day < 1 || day > days_in(year, month))
        return false;
    uint8_t between = cursor_u8(&c);
    int64_t hour = digits_of(&c, 2);
    expect(&c, ':');
    int64_t minute = digits_of(&c, 2);
    expect(&c, ':');
    int64_t second = digits_of(&c, 2);
    int64_t ms = fraction_ms(&c);
    int64_t ahead = offset_ms(&c);
    if (c.bad || cursor_left(&c) > 0 || (between != 'T' && between != 't' && between != ' '))
        return false;
    if (hour > 23 || minute > 59 || second > 60)
        return false;
    int64_t seconds =
        days_since_epoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    *ret_ms = seconds * 1000 + ms - ahead;
    return true;
}

bool text_time(struct slice s, int64_t *ret_ms)
{
    int64_t v;
    if (text_int(s, &v)) {
        if (v < 0)
            return false;
        *ret_ms = v;
        return true;
    }
    return rfc3339(s, ret_ms);
}

/* filter_number.c: reads decimals and calculates with them, all in integers (filter_number.h). */
#include "protocol/filter/filter_number.h"

#define NUMBER_PLACES 18
#define NUMBER_EXPONENT_MAX 100000 /* of an exponent that is written out; any that large decides alone */

typedef unsigned __int128 magnitude;

#define NUMBER_TEN_TO_19 ((magnitude)UINT64_C(10000000000000000000))
#define NUMBER_LIMIT (NUMBER_TEN_TO_19 * NUMBER_TEN_TO_19) /* 10^20, as a count of 10^-18 */

static const uint64_t number_powers[NUMBER_PLACES + 1] = {
    UINT64_C(1),
    UINT64_C(10),
    UINT64_C(100),
    UINT64_C(1000),
    UINT64_C(10000),
    UINT64_C(100000),
    UINT64_C(1000000),
    UINT64_C(10000000),
    UINT64_C(100000000),
    UINT64_C(1000000000),
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
    UINT64_C(1000000000000000000),
};

static magnitude number_size(filter_number v) { return v < 0 ? (magnitude)0 - (magnitude)v : (magnitude)v; }

static bool number_give(bool negative, magnitude size, filter_number *ret_v)
{
    if (size >= NUMBER_LIMIT)
        return false;
    *ret_v = negative ? -(filter_number)size : (filter_number)size;
    return true;
}

/* ---- reading ---- */

/* A text on its way to size x 10^shift. */
struct number_read {
    const uint8_t *at, *end;
    magnitude size;
    int64_t shift;
};

static bool number_digit(const struct number_read *r) { return r->at < r->end && *r->at >= '0' && *r->at <= '9'; }

static bool number_sign(struct number_read *r)
{
    bool negative = r->at < r->end && *r->at == '-';
    if (negative || (r->at < r->end && *r->at == '+'))
        r->at++;
    return negative;
}

/* Digits behind the 38th only count as places. False: there is no digit. */
static bool number_digits(struct number_read *r)
{
    bool any = false, point = false;
    for (; r->at < r->end; r->at++) {
        if (*r->at == '.' && !point) {
            point = true;
            continue;
        }
        if (!number_digit(r))
            break;
        any = true;
        if (r->size < NUMBER_LIMIT / 10) {
            magnitude digit = (magnitude)(*r->at - '0');
            r->size = r->size * (magnitude)10 + digit;
            r->shift -= point;
        } else {
            r->shift += !point;
        }
    }
    return any;
}

/* False: there is an e without digits. */
static bool number_exponent(struct number_read *r)
{
    if (r->at >= r->end || (*r->at != 'e' && *r->at != 'E'))
        return true;
    r->at++;
    bool negative = number_sign(r), any = false;
    int64_t n = 0;
    for (; number_digit(r); r->at++) {
        any = true;
        n = n < NUMBER_EXPONENT_MAX ? n * 10 + (*r->at - '0') : n;
    }
    r->shift += negative ? -n : n;
    return any;
}

/* size x 10^shift; too large: NUMBER_LIMIT. */
static magnitude number_scale(magnitude size, int64_t shift)
{
    if (shift >= 0 && shift <= NUMBER_PLACES && size <= UINT64_MAX)
        return size * number_powers[shift];
    for (; shift > 0 && size > 0; shift--) {
        if (size >= NUMBER_LIMIT / 10)
            return NUMBER_LIMIT;
        size *= 10;
    }
    unsigned last = 0;
    for (; shift < 0 && size > 0; shift++) {
        last = (unsigned)(size % 10);
        size /= 10;
    }
    return size + (shift == 0 && last >= 5);
}

bool filter_number_read(struct slice s, filter_number *ret_v)
{
    if (s.len == 0)
        return false;
    struct number_read r = {.at = s.data, .end = s.data + s.len, .shift = NUMBER_PLACES};
    bool negative = number_sign(&r);
    if (!number_digits(&r) || !number_exponent(&r) || r.at != r.end)
        return false;
    return number_give(negative, number_scale(r.size, r.shift), ret_v);
}

/* ---- calculating ---- */

bool filter_number_add(filter_number a, filter_number b, filter_number *ret_v)
{
    filter_number sum; /* cannot overflow: both are less than 10^38, and 128 bits hold 1.7 x 10^38 */
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    return number_give(sum < 0, number_size(sum), ret_v);
}

/* The product of two magnitudes in four pieces of 64 bits, the lowest first. */
static void number_product(magnitude a, magnitude b, uint64_t out[4])
{
    uint64_t x[2] = {(uint64_t)a, (uint64_t)(a >> 64)}, y[2] = {(uint64_t)b, (uint64_t)(b >> 64)};
    out[0] = out[1] = out[2] = out[3] = 0;
    for (int i = 0; i < 2; i++) {
        uint64_t carry = 0;
        for (int k = 0; k < 2; k++) {
            magnitude sum = (magnitude)x[i] * y[k] + out[i + k] + carry;
            out[i + k] = (uint64_t)sum;
            carry = (uint64_t)(sum >> 64);
        }
        out[i + 2] = carry;
    }
}

bool filter_number_multiply(filter_number a, filter_number b, filter_number *ret_v)
{
    uint64_t n[4];
    uint64_t one = (uint64_t)FILTER_NUMBER_ONE;
    magnitude rest = 0;
    number_product(number_size(a), number_size(b), n);
    for (int i = 3; i >= 0; i--) {
        magnitude part = (rest << 64) | n[i];
        n[i] = (uint64_t)(part / one);
        rest = part % one;
    }
    if (n[3] || n[2])
        return false;
    magnitude size = ((magnitude)n[1] << 64) | n[0];
    if (size >= NUMBER_LIMIT)
        return false;
    return number_give((a < 0) != (b < 0), size + (rest >= one / 2), ret_v);
}

/* Divides bit by bit: the numerator has up to 192 of them. */
bool filter_number_divide(filter_number a, filter_number b, filter_number *ret_v)
{
    uint64_t n[4];
    magnitude by = number_size(b), rest = 0, size = 0;
    if (by == 0)
        return false;
    number_product(number_size(a), (magnitude)FILTER_NUMBER_ONE, n);
    for (int bit = 191; bit >= 0; bit--) {
        rest = (rest << 1) | ((n[bit / 64] >> (bit % 64)) & 1);
        if (size >= NUMBER_LIMIT)
            return false;
        size <<= 1;
        if (rest >= by) {
            rest -= by;
            size |= 1;
        }
    }
    return number_give((a < 0) != (b < 0), size + (rest >= by - rest), ret_v);
}

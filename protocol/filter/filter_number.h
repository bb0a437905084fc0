/*
 * filter_number.h: the numbers of filters: exact decimals.
 *
 *   12.5  ──►  12 500 000 000 000 000 000        a count of 10^-18, in 128 bits
 *
 * So 0.1 + 0.2 is 0.3, every 64-bit integer is exact, and the same bytes give the same answer on every machine. A number
 * has 18 decimal places, further ones are rounded, and lies between -10^20 and 10^20. What is beyond that has no value.
 */
#ifndef HALFMQ_PROTOCOL_FILTER_NUMBER_H
#define HALFMQ_PROTOCOL_FILTER_NUMBER_H

#include "protocol/base/slice.h"

typedef __int128 filter_number;

#define FILTER_NUMBER_ONE INT64_C(1000000000000000000)

/* Reads all of s: digits with an optional sign, decimal point and exponent ("-1.5e3"), without blanks. False: it is not a
 * number, or has no value. */
bool filter_number_read(struct slice s, filter_number *ret_v);

/* Of a 64-bit integer; always exact. */
static inline filter_number filter_number_of(int64_t n) { return (filter_number)n * FILTER_NUMBER_ONE; }
static inline filter_number filter_number_of_u64(uint64_t n) { return (filter_number)n * FILTER_NUMBER_ONE; }

/* False: the result has no value, as it is too large, or b is 0. Products and quotients are rounded. */
bool filter_number_add(filter_number a, filter_number b, filter_number *ret_v);
bool filter_number_multiply(filter_number a, filter_number b, filter_number *ret_v);
bool filter_number_divide(filter_number a, filter_number b, filter_number *ret_v);

#endif

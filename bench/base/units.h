/*
 * units.h: reads numbers as people write them on a command line, and prints them so.
 *
 *   duration  500us 5ms 1.5s 2m 1h, or a bare number of seconds     -> nanoseconds
 *   count     100000, 100k, 2.5M, 1G (powers of ten)                -> number
 *   size      100, 4k, 1KiB, 2M (powers of two)                     -> bytes
 *   share     5% or 0.05                                            -> 0..1
 */
#ifndef HALFMQ_BENCH_UNITS_H
#define HALFMQ_BENCH_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* Each reads one kind of number, which is never negative. False: the text is not one, and the result is unchanged. */
bool units_duration(const char *text, int64_t *ret_ns);
bool units_count(const char *text, uint64_t *ret_n);
bool units_rate(const char *text, double *ret_per_s); /* a count, with a fraction */
bool units_size(const char *text, uint64_t *ret_bytes);
bool units_share(const char *text, double *ret_share);

/* "412us", "3.21ms", "12.4s": three digits. The text is in out. */
const char *units_put_duration(double ns, char *out, size_t size);

/* "812", "81.2k", "1.24M" */
const char *units_put_count(double n, char *out, size_t size);

#endif

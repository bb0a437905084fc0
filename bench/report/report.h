/*
 * report.h: a result for people and for programs.
 */
#ifndef HALFMQ_BENCH_REPORT_H
#define HALFMQ_BENCH_REPORT_H

#include "bench/run/result.h"
#include "protocol/base/buf.h"

/* The table on standard output. */
void report_text(const struct result *r);

/* Each fills out; false: no memory. */
bool report_json(const struct result *r, struct buf *out);
bool report_csv(const struct result *r, struct buf *out);
bool report_html(const struct result *r, struct buf *out);
bool report_hdr(const struct result *r, struct buf *out);

/* Writes all the files that the options name. False: one could not be written; it has been said. */
bool report_files(const struct result *r);

/* The names that asserts know: "p99", "half_commit.p99", "messages_per_s", "lost" ... False: there
 * is none of it. Durations in ns. */
bool report_value(const struct result *r, const char *name, double *ret_v, bool *ret_is_duration);

#endif

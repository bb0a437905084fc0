/*
 * report.h: writes a result for people and for programs: the table on standard output, and the files that the options
 * name.
 */
#ifndef HALFMQ_BENCH_REPORT_H
#define HALFMQ_BENCH_REPORT_H

#include "bench/run/result.h"
#include "protocol/base/buf.h"

/* The table on standard output. */
void report_text(const struct result *r);

/* Each writes one form into out; false: no memory. */
bool report_json(const struct result *r, struct buf *out);
bool report_csv(const struct result *r, struct buf *out);
bool report_html(const struct result *r, struct buf *out);
bool report_hdr(const struct result *r, struct buf *out);

/* Writes all files that the options name. False: one could not be written; the reason was printed. */
bool report_files(const struct result *r);

/* The value of a name that an assert may use: "p99", "half_commit.p99", "messages_per_s", "lost" ... Durations are in
 * ns. False: there is no such name. */
bool report_value(const struct result *r, const char *name, double *ret_v, bool *ret_is_duration);

#endif

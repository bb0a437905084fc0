/*
 * metrics_text.h: pieces of the Prometheus text format 0.0.4.
 */
#ifndef HALFMQ_BROKER_METRICS_TEXT_H
#define HALFMQ_BROKER_METRICS_TEXT_H

#include "protocol/base/buf.h"

/* The two lines that begin a family. type: counter, gauge or histogram. */
void metrics_head(struct buf *out, const char *name, const char *type, const char *help);

/* A gauge without labels: its head and its one sample. */
void metrics_gauge(struct buf *out, const char *name, const char *help, int64_t v);

/* name="text", escaped as the format demands. */
void metrics_label(struct buf *out, const char *name, struct slice text);

#endif

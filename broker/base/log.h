/*
 * log.h: one line an event, logfmt, on standard error:
 *   ts=2026-11-24T06:30:00.123Z level=info msg="ready" addr=127.0.0.1:4253 http=127.0.0.1:4280
 * Any thread. A line is at most 2 KiB. When the same message comes more than 10 times in a second, the rest is counted
 * and logged as one line ("suppressed=n").
 */
#ifndef HALFMQ_BROKER_LOG_H
#define HALFMQ_BROKER_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level level);

/* msg is a constant text without quotes; fmt makes the ` key=value` part. The caller quotes values that may need it,
 * with log_quote. */
void log_event(enum log_level level, const char *msg, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, but each is written, however many there are in a second: for what must be accounted for. */
void log_each(enum log_level level, const char *msg, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* An event that needs no values. */
void log_text(enum log_level level, const char *msg);

/* Puts text into out as a logfmt value, quoted and escaped where needed, cut where out is too small. Returns out. */
const char *log_quote(const char *text, char *out, unsigned out_size);

#endif

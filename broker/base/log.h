/*
 * log.h: one line an event, logfmt, on standard error:
 *   ts=2026-11-24T06:30:00.123Z level=info msg="ready" addr=127.0.0.1:4253 http=127.0.0.1:4280
 * Any thread. A line is at most 2 KiB; the same message more than 10 times a second is counted and
 * said once ("suppressed=n").
 */
#ifndef HALFMQ_BROKER_LOG_H
#define HALFMQ_BROKER_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level level);

/* msg is a constant text without quotes; fmt makes the ` key=value` part. Values that need quotes are
 * quoted by the caller with log_quote. */
void log_event(enum log_level level, const char *msg, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* An event that needs no values. */
void log_text(enum log_level level, const char *msg);

/* text as a logfmt value, quoted and escaped where needed, into out; returns out. */
const char *log_quote(const char *text, char *out, unsigned out_size);

#endif

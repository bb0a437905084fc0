/*
 * errors.h: the client's statuses, and how a hmq_error is filled. One table, in errors.c, ties each
 * status to its name, its general text and (for the broker's codes) to the status of protocol/.
 */
#ifndef HALFMQ_CLIENTS_C_ERRORS_H
#define HALFMQ_CLIENTS_C_ERRORS_H

#include "clients/c/halfmq.h"
#include "protocol/base/slice.h"
#include "protocol/status.h"

/* Fills err (may be NULL) with HMQ_OK and no text. Returns HMQ_OK. */
enum hmq_status error_none(hmq_error *err);

/* Fills err (may be NULL) and returns the status, so that a caller can `return error_set(...)`. */
enum hmq_status error_set(hmq_error *err, enum hmq_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with bytes from the broker; control bytes become spaces. */
enum hmq_status error_bytes(hmq_error *err, enum hmq_status status, struct slice text);

/* The same with the general text of the status. */
enum hmq_status error_plain(hmq_error *err, enum hmq_status status);

/* True where the broker refuses so before it looks whether it did the same request before: where that was sent on an
 * earlier connection, it may have been done. */
bool error_says_nothing_of_earlier(enum hmq_status status);

/* The status for a code on the wire ("STALE"); HMQ_EREFUSED where no such code is known. */
enum hmq_status error_from_code(struct slice code);

#endif

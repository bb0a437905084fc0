/*
 * status.h: the outcome of an operation: one enum for the whole program, made of the table in `status.def`.
 *
 * Outcomes below ST_WIRE_COUNT have a code that clients see. The ones after it are returned by our own functions only;
 * status_code translates them before a client sees them.
 */
#ifndef HALFMQ_PROTOCOL_STATUS_H
#define HALFMQ_PROTOCOL_STATUS_H

#include <stdbool.h>
#include <stddef.h>

enum status {
#define STATUS(name, code, retry, text) ST_##name,
#include "protocol/status.def"
#undef STATUS
    ST_WIRE_COUNT,
    ST_MORE = ST_WIRE_COUNT, /* a parser needs more bytes */
    ST_BAD,                  /* malformed input or a damaged record */
    ST_GONE,                 /* not there */
    ST_NOMEM,                /* an allocation failed */
    ST_IO                    /* the store or the system refused; details in the text */
};

#define MUST_CHECK __attribute__((warn_unused_result))

/* "NOTOPIC" and its like; internal outcomes are "ERR", but NOMEM is "BUSY". Static text. */
const char *status_code(enum status s);
const char *status_text(enum status s);
bool status_retryable(enum status s);

/* The outcome whose wire code is the len bytes at code; ST_ERR where no such code exists. */
enum status status_from_code(const char *code, size_t len);

#endif

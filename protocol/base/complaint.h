/*
 * complaint.h: where the sentence goes that tells a client why its request was refused.
 */
#ifndef HALFMQ_PROTOCOL_COMPLAINT_H
#define HALFMQ_PROTOCOL_COMPLAINT_H

#include "protocol/status.h"

/* The caller's memory; what does not fit is cut off, and it ends in NUL where size > 0. */
struct complaint {
    char *text;
    size_t size;
};

/* Writes the sentence and returns s, so that a check ends in `return complain(...)`. */
enum status complain(struct complaint c, enum status s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif

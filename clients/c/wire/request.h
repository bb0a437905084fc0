/*
 * request.h: a request that the application builds: the method, and its named values already as MessagePack.
 *
 *   frame = [0, id, method, [ {pairs} ]]: each call writes the head anew and copies the pairs behind it
 */
#ifndef HALFMQ_CLIENTS_C_REQUEST_H
#define HALFMQ_CLIENTS_C_REQUEST_H

#include "clients/c/wire/call.h"

#define METHOD_BYTES_MAX 63

struct hmq_request {
    char method[METHOD_BYTES_MAX + 1];
    struct buf pairs;
    size_t n_pairs;
    bool repeat;
    bool invalid; /* a method or name is NULL or too long, or a value is NULL that must not be */
};

/* Puts the head of the frame; the n_pairs pairs are to be put next. */
void request_begin(struct call *call, const char *method, size_t n_pairs);

/* Puts the whole request into the call's frame. HMQ_EINVAL, HMQ_ENOMEM. */
enum hmq_status request_encode(const struct hmq_request *r, struct call *call, hmq_error *err);

/* Puts one pair into a buffer of MessagePack. */
void pair_text(struct buf *b, const char *name, const char *text);
void pair_bin(struct buf *b, const char *name, const void *data, size_t len);
void pair_int(struct buf *b, const char *name, int64_t n);
void pair_texts(struct buf *b, const char *name, const char *const *texts, size_t n);

#endif

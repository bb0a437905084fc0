/*
 * rpc.h: MessagePack-RPC, in and out, for the broker and for the C client. The only file pair that
 * knows msgpack-c. No sockets: feed bytes, get frames.
 *
 *   request  [0, id, method, params]     response [1, id, error, result]    notification [2, method, params]
 *   params   [{...}] or {...}            error    nil or [code, text]
 *
 *   bytes ──► rpc_scan (own, bounded: length, depth, counts) ──► whole frame ──► msgpack-c ──► rpc_frame
 *
 * Nothing is unpacked before a whole frame was scanned, so a header that promises four billion
 * elements costs nothing.
 */
#ifndef HALFMQ_PROTOCOL_RPC_H
#define HALFMQ_PROTOCOL_RPC_H

#include "protocol/command/command.h"
#include "protocol/base/reply.h"

/* A value inside a frame; borrowed from the reader, good until its next call. */
struct rpc_value; /* really a msgpack_object */

enum rpc_kind { RPC_NIL, RPC_BOOL, RPC_INT, RPC_DOUBLE, RPC_BYTES, RPC_LIST, RPC_MAP, RPC_OTHER };

enum rpc_kind rpc_kind(const struct rpc_value *v);           /* NULL: RPC_NIL */
bool rpc_int(const struct rpc_value *v, int64_t *ret_n);     /* false where it is none, or too large */
bool rpc_bool(const struct rpc_value *v, bool *ret_b);
bool rpc_double(const struct rpc_value *v, double *ret_d);
bool rpc_bytes(const struct rpc_value *v, struct slice *ret_bytes); /* str and bin alike */
size_t rpc_len(const struct rpc_value *v);                   /* LIST: items, MAP: pairs, else 0 */
const struct rpc_value *rpc_at(const struct rpc_value *v, size_t i);  /* LIST item or MAP value */
const struct rpc_value *rpc_key(const struct rpc_value *v, size_t i); /* MAP key */
const struct rpc_value *rpc_get(const struct rpc_value *v, const char *key); /* MAP by name; NULL */

enum rpc_type { RPC_REQUEST = 0, RPC_RESPONSE = 1, RPC_NOTIFY = 2 };

struct rpc_frame {
    enum rpc_type type;
    uint64_t id;                    /* REQUEST, RESPONSE: 0..2^32-1 */
    struct slice method;            /* REQUEST, NOTIFY */
    const struct rpc_value *params; /* REQUEST, NOTIFY: the map (NULL: none, or an empty list) */
    const struct rpc_value *error;  /* RESPONSE; NULL where nil */
    const struct rpc_value *result; /* RESPONSE */
    size_t values;  /* in the whole frame, nested ones too */
    size_t numbers; /* in the whole frame: integers, and what else has no length */
};

struct rpc_reader; /* opaque: holds msgpack-c's zone */

struct rpc_reader *rpc_reader_new(size_t max_frame); /* NULL: no memory */
void rpc_reader_free(struct rpc_reader *r);

/* Gives back the memory of the frame that was returned last, which ends with it. */
void rpc_reader_rest(struct rpc_reader *r);

/* As resp_reader_next: ST_OK with *ret_frame and *ret_used, ST_MORE, ST_BAD, ST_NOMEM. A frame over
 * max_frame is ST_BAD. Scanning state is kept between calls with the same bytes. */
enum status rpc_reader_next(struct rpc_reader *r, struct slice input, struct rpc_frame *ret_frame,
                            size_t *ret_used, char *err, size_t err_size) MUST_CHECK;

/* Bytes that the unfinished frame is known to have at least; 0 between two frames. */
size_t rpc_reader_needs(const struct rpc_reader *r);

/* Between two frames: a reader may go on with another connection's bytes. */
void rpc_reader_begin(struct rpc_reader *r, size_t max_frame);

/* The command of a request or notification; errors as command_from_words. */
enum status rpc_command(struct command_space *space, const struct rpc_frame *f, struct command *ret_cmd,
                        char *err, size_t err_size) MUST_CHECK;

/* Writing: raw MessagePack values ... */
void rpc_put_nil(struct buf *b);
void rpc_put_bool(struct buf *b, bool v);
void rpc_put_int(struct buf *b, int64_t v);
void rpc_put_uint(struct buf *b, uint64_t v);
void rpc_put_double(struct buf *b, double v);
void rpc_put_str(struct buf *b, struct slice s);
void rpc_put_bin_head(struct buf *b, size_t n); /* n bytes are to follow */
void rpc_put_bin(struct buf *b, struct slice s);
void rpc_put_list(struct buf *b, size_t n);
void rpc_put_map(struct buf *b, size_t pairs);

/* ... frame heads (the value that completes the frame is put next) ... */
void rpc_put_request(struct buf *b, uint64_t id, const char *method); /* then put params */
void rpc_put_notify(struct buf *b, const char *method);               /* then put params */
void rpc_put_result(struct buf *b, uint64_t id);                      /* then put the result */
void rpc_put_error(struct buf *b, uint64_t id, const char *code, struct slice text); /* whole frame */

/* ... and a finished reply (tokens) as a whole response, or as a bare value. BULK becomes bin for a
 * message's body and for values that are not UTF-8, str otherwise. */
void rpc_write_response(struct buf *b, uint64_t id, struct slice reply);
void rpc_write_value(struct buf *b, struct slice reply);

/* The same for a reply that comes in pieces of whole tokens. It is no error, and no message is cut. */
void rpc_write_first(struct buf *b, uint64_t id, struct slice piece);
void rpc_write_more(struct buf *b, struct slice piece);

#endif

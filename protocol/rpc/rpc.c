/*
 * rpc.c: MessagePack-RPC frames out of a stream of bytes; the only file that includes msgpack-c.
 *
 *   input ─► rpc_scan: whole, and within all bounds? ─► msgpack_unpack ─► objects in `zone`
 *                                                                          │
 *            rpc_frame points into the objects and into the input ◄────────┘
 *
 * msgpack-c sees only bytes that the scanner has passed. Its objects live in the zone, which the next call empties, so
 * a large frame's memory is freed as soon as the caller asks for the next frame. Texts and byte strings are not copied:
 * they point into the caller's input.
 *
 * Invariant: a struct rpc_value is a msgpack_object under a name of our own; only this file makes them.
 */
#include "protocol/rpc/rpc.h"

#include "protocol/rpc/rpc_scan.h"

#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

#define ZONE_CHUNK_BYTES 2048 /* an ordinary request fits; all that an idle connection keeps */

struct rpc_reader {
    struct rpc_scan scan;
    msgpack_zone zone;
    msgpack_object root;
    bool dirty; /* the zone holds a frame */
};

static const msgpack_object *rpc_object_of(const struct rpc_value *v)
{
    return (const msgpack_object *)v;
}

static const struct rpc_value *rpc_value_of(const msgpack_object *o)
{
    return (const struct rpc_value *)o;
}

enum rpc_kind rpc_kind(const struct rpc_value *v)
{
    if (!v)
        return RPC_NIL;
    switch (rpc_object_of(v)->type) {
    case MSGPACK_OBJECT_NIL: return RPC_NIL;
    case MSGPACK_OBJECT_BOOLEAN: return RPC_BOOL;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: return RPC_INT;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64: return RPC_DOUBLE;
    case MSGPACK_OBJECT_STR:
    case MSGPACK_OBJECT_BIN: return RPC_BYTES;
    case MSGPACK_OBJECT_ARRAY: return RPC_LIST;
    case MSGPACK_OBJECT_MAP: return RPC_MAP;
    case MSGPACK_OBJECT_EXT: break;
    }
    return RPC_OTHER;
}

bool rpc_int(const struct rpc_value *v, int64_t *ret_n)
{
    if (rpc_kind(v) != RPC_INT)
        return false;
    const msgpack_object *o = rpc_object_of(v);
    if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 > INT64_MAX)
        return false;
    *ret_n = o->via.i64;
    return true;
}

bool rpc_bool(const struct rpc_value *v, bool *ret_b)
{
    if (rpc_kind(v) != RPC_BOOL)
        return false;
    *ret_b = rpc_object_of(v)->via.boolean;
    return true;
}

bool rpc_double(const struct rpc_value *v, double *ret_d)
{
    if (rpc_kind(v) != RPC_DOUBLE)
        return false;
    *ret_d = rpc_object_of(v)->via.f64;
    return true;
}

bool rpc_bytes(const struct rpc_value *v, struct slice *ret_bytes)
{
    if (rpc_kind(v) != RPC_BYTES)
        return false;
    const msgpack_object *o = rpc_object_of(v);
    *ret_bytes = o->type == MSGPACK_OBJECT_STR ? slice_of(o->via.str.ptr, o->via.str.size)
                                               : slice_of(o->via.bin.ptr, o->via.bin.size);
    return true;
}

size_t rpc_len(const struct rpc_value *v)
{
    switch (rpc_kind(v)) {
    case RPC_LIST: return rpc_object_of(v)->via.array.size;
    case RPC_MAP: return rpc_object_of(v)->via.map.size;
    default: return 0;
    }
}

const struct rpc_value *rpc_at(const struct rpc_value *v, size_t i)
{
    if (i >= rpc_len(v))
        return NULL;
    const msgpack_object *o = rpc_object_of(v);
    return o->type == MSGPACK_OBJECT_MAP ? rpc_value_of(&o->via.map.ptr[i].val)
                                         : rpc_value_of(&o->via.array.ptr[i]);
}

const struct rpc_value *rpc_key(const struct rpc_value *v, size_t i)
{
    if (rpc_kind(v) != RPC_MAP || i >= rpc_len(v))
        return NULL;
    return rpc_value_of(&rpc_object_of(v)->via.map.ptr[i].key);
}

const struct rpc_value *rpc_get(const struct rpc_value *v, const char *key)
{
    struct slice wanted = slice_str(key), name;
    if (rpc_kind(v) != RPC_MAP)
        return NULL;
    for (size_t i = 0; i < rpc_len(v); i++)
        if (rpc_bytes(rpc_key(v, i), &name) && slice_equal(name, wanted))
            return rpc_at(v, i);
    return NULL;
}

struct rpc_reader *rpc_reader_new(size_t max_frame)
{
    struct rpc_reader *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    if (!msgpack_zone_init(&r->zone, ZONE_CHUNK_BYTES)) {
        free(r);
        return NULL;
    }
    rpc_scan_begin(&r->scan, max_frame);
    return r;
}

void rpc_reader_free(struct rpc_reader *r)
{
    if (!r)
        return;
    msgpack_zone_destroy(&r->zone);
    free(r);
}

void rpc_reader_rest(struct rpc_reader *r)
{
    if (r->dirty)
        msgpack_zone_clear(&r->zone);
    r->dirty = false;
}

static enum status rpc_bad(char *err, size_t err_size, const char *what)
{
    snprintf(err, err_size, "Protocol error: %s", what);
    return ST_BAD;
}

/* Params that are a list of one value: that value. An empty list or nil: NULL. A value that is not a map is refused by
 * rpc_command, so that the error carries the id of the request. */
static const struct rpc_value *rpc_params_of(const struct rpc_value *v)
{
    if (rpc_kind(v) == RPC_LIST && rpc_len(v) <= 1)
        v = rpc_at(v, 0);
    return rpc_kind(v) == RPC_NIL ? NULL : v;
}

static const char frame_shape[] = "expected [0, id, method, params], [1, id, error, result] or "
                                  "[2, method, params]";

/* Checks a frame's shape; the message says what is wrong, NULL: nothing. */
static const char *rpc_read_frame(const struct rpc_value *root, struct rpc_frame *f)
{
    int64_t type, id = 0;
    if (!rpc_int(rpc_at(root, 0), &type) || type < RPC_REQUEST || type > RPC_NOTIFY)
        return "the first value of a frame is 0, 1 or 2";
    if (rpc_len(root) != (type == RPC_NOTIFY ? 3 : 4))
        return frame_shape;
    if (type != RPC_NOTIFY && (!rpc_int(rpc_at(root, 1), &id) || id < 0 || id > UINT32_MAX))
        return "an id is a whole number from 0 to 4294967295";
    *f = (struct rpc_frame){.type = (enum rpc_type)type, .id = (uint64_t)id};
    if (type == RPC_RESPONSE) {
        const struct rpc_value *error = rpc_at(root, 2);
        f->error = rpc_kind(error) == RPC_NIL ? NULL : error;
        f->result = rpc_at(root, 3);
        return NULL;
    }
    size_t method_at = type == RPC_REQUEST ? 2 : 1;
    if (!rpc_bytes(rpc_at(root, method_at), &f->method))
        return "a method is a string";
    f->params = rpc_params_of(rpc_at(root, method_at + 1));
    return NULL;
}

/* A frame is an array. The first byte shows whether it is one, so that other bytes are refused at once. */
static bool rpc_may_begin_frame(uint8_t first)
{
    return (first >= 0x90 && first <= 0x9f) || first == 0xdc || first == 0xdd;
}

static enum status rpc_unpack(struct rpc_reader *r, struct slice whole, char *err, size_t err_size)
{
    size_t off = 0;
    r->dirty = true;
    msgpack_unpack_return got =
        msgpack_unpack((const char *)whole.data, whole.len, &off, &r->zone, &r->root);
    if (got == MSGPACK_UNPACK_NOMEM_ERROR) {
        snprintf(err, err_size, "no memory for the frame: try again");
        return ST_NOMEM;
    }
    if (got != MSGPACK_UNPACK_SUCCESS || off != whole.len)
        return rpc_bad(err, err_size, "not MessagePack");
    return ST_OK;
}

enum status rpc_reader_next(struct rpc_reader *r, struct slice input, struct rpc_frame *ret_frame,
                            size_t *ret_used, char *err, size_t err_size)
{
    rpc_reader_rest(r);
    if (input.len == 0) {
        *ret_used = 0;
        return ST_MORE;
    }
    if (!rpc_may_begin_frame(input.data[0]))
        return rpc_bad(err, err_size, frame_shape);
    size_t bytes = 0;
    char why[80];
    enum status s = rpc_scan(&r->scan, input, &bytes, why, sizeof why);
    if (s == ST_MORE)
        *ret_used = 0;
    if (s == ST_BAD)
        return rpc_bad(err, err_size, why);
    if (s != ST_OK)
        return s;
    s = rpc_unpack(r, slice_of(input.data, bytes), err, err_size);
    if (s != ST_OK)
        return s;
    struct rpc_frame f;
    const char *wrong = rpc_read_frame(rpc_value_of(&r->root), &f);
    if (wrong)
        return rpc_bad(err, err_size, wrong);
    f.numbers = r->scan.numbers;
    f.values = r->scan.values;
    rpc_scan_begin(&r->scan, r->scan.max_bytes);
    *ret_frame = f;
    *ret_used = bytes;
    return ST_OK;
}

size_t rpc_reader_needs(const struct rpc_reader *r)
{
    return r->scan.at ? r->scan.at + r->scan.owed : 0;
}

void rpc_reader_begin(struct rpc_reader *r, size_t max_frame)
{
    rpc_scan_begin(&r->scan, max_frame);
}

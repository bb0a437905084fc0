/*
 * rpc_scan.h: finds where a MessagePack value ends, before anybody unpacks it; private to rpc.c.
 */
#ifndef HALFMQ_PROTOCOL_RPC_SCAN_H
#define HALFMQ_PROTOCOL_RPC_SCAN_H

#include "protocol/limits.h"
#include "protocol/base/slice.h"
#include "protocol/status.h"

/* Values in one frame, all together: bounds what unpacking costs (24 bytes each). */
#define RPC_VALUES_MAX (3L * REQUEST_WORDS_MAX)

struct rpc_scan {
    size_t max_bytes;
    size_t at;      /* where the next value begins; may lie beyond the bytes that have come */
    size_t owed;    /* values announced and not begun yet, on all levels */
    size_t values;  /* begun so far ... */
    size_t numbers; /* ... and those without a length: integers, floats, true, false, nil */
    uint32_t depth; /* containers that are open */
    uint32_t left[RPC_DEPTH_MAX]; /* values still to come in each of them */
};

void rpc_scan_begin(struct rpc_scan *s, size_t max_bytes);

/*
 * Goes on where it stopped; input is the same bytes with more behind them.
 *   ST_OK    one whole value, *ret_bytes long     ST_MORE  not whole yet
 *   ST_BAD   malformed or over a bound: a sentence without its end mark in err
 */
enum status rpc_scan(struct rpc_scan *s, struct slice input, size_t *ret_bytes, char *err,
                     size_t err_size) MUST_CHECK;

#endif

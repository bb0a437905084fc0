/*
 * resp_value.h: a reply as a tree, for tests. It does not use the product's own codec, so that a mistake there is
 * noticed.
 *
 *   text form   OK  -CODE text  3  "bytes\r\n"  null  true  1.5  [a, b]  {k: v}  push[a, b]
 */
#ifndef HALFMQ_TESTS_RESP_VALUE_H
#define HALFMQ_TESTS_RESP_VALUE_H

#include "protocol/base/buf.h"

enum resp_kind {
    RV_SIMPLE,
    RV_ERROR,
    RV_INT,
    RV_BULK,
    RV_NULL,
    RV_BOOL,
    RV_DOUBLE,
    RV_ARRAY,
    RV_MAP,
    RV_PUSH
};

struct resp_value {
    enum resp_kind kind;
    bool verbatim; /* a BULK that came as RESP3 text; bytes are without "txt:" */
    int64_t n; /* INT, BOOL */
    char *bytes; /* SIMPLE ERROR BULK DOUBLE; followed by NUL */
    size_t len; /* of bytes */
    struct resp_value **item; /* ARRAY PUSH: the values; MAP: key, value, key, value */
    size_t n_items;
};

enum resp_parse { RESP_PARSE_OK, RESP_PARSE_MORE, RESP_PARSE_BAD };

/* Parses one value from the start of in. The caller frees it. */
enum resp_parse resp_value_parse(struct slice in, struct resp_value **ret_v, size_t *ret_used);
void resp_value_free(struct resp_value *v);

void resp_value_print(const struct resp_value *v, struct buf *out);

/* The value of a key in a MAP, or in an ARRAY of name, value, name, value. NULL: there is none. */
const struct resp_value *resp_value_get(const struct resp_value *v, const char *key);

#endif

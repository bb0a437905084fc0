/*
 * resp_value.c: reads and prints one RESP2 or RESP3 value.
 *
 * If the bytes of a value are not complete, the parser frees what it has and starts again when there are more;
 * replies in tests are small.
 */
#include "tests/lib/resp_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32
#define ITEMS_MAX 1000000

struct input {
    struct slice all;
    size_t at;
    enum resp_parse state;
};

static struct resp_value *stop(struct input *in, enum resp_parse state, struct resp_value *v)
{
    in->state = state;
    resp_value_free(v);
    return NULL;
}

/* Reads the rest of the line, without CR LF. */
static bool line(struct input *in, struct slice *ret_s)
{
    for (size_t i = in->at; i + 1 < in->all.len; i++) {
        if (in->all.data[i] == '\r' && in->all.data[i + 1] == '\n') {
            *ret_s = slice_of(in->all.data + in->at, i - in->at);
            in->at = i + 2;
            return true;
        }
    }
    in->state = RESP_PARSE_MORE;
    return false;
}

static bool number(struct slice s, int64_t *ret_n)
{
    char text[32], *end = NULL;
    if (s.len == 0 || s.len >= sizeof(text))
        return false;
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    *ret_n = strtoll(text, &end, 10);
    return *end == '\0';
}

static bool take_bytes(struct resp_value *v, struct slice s)
{
    v->bytes = malloc(s.len + 1);
    if (!v->bytes)
        return false;
    if (s.len)
        memcpy(v->bytes, s.data, s.len);
    v->bytes[s.len] = '\0';
    v->len = s.len;
    return true;
}

static struct resp_value *parse(struct input *in, int depth);

static struct resp_value *parse_bulk(struct input *in, struct resp_value *v, int64_t n, char type)
{
    size_t len = (size_t)n;
    if (in->all.len - in->at < len + 2)
        return stop(in, RESP_PARSE_MORE, v);
    struct slice s = slice_of(in->all.data + in->at, len);
    if (memcmp(s.data + len, "\r\n", 2) != 0)
        return stop(in, RESP_PARSE_BAD, v);
    in->at += len + 2;
    if (type == '=') {
        if (len < 4)
            return stop(in, RESP_PARSE_BAD, v);
        v->verbatim = true;
        s = slice_of(s.data + 4, len - 4);
    }
    v->kind = RV_BULK;
    return take_bytes(v, s) ? v : stop(in, RESP_PARSE_BAD, v);
}

static struct resp_value *parse_items(struct input *in, struct resp_value *v, int64_t n, int depth)
{
    v->item = calloc((size_t)n + 1, sizeof(*v->item));
    if (!v->item)
        return stop(in, RESP_PARSE_BAD, v);
    for (int64_t i = 0; i < n; i++) {
        struct resp_value *one = parse(in, depth + 1);
        if (!one)
            return stop(in, in->state, v);
        v->item[v->n_items++] = one;
    }
    return v;
}

/* Parses the types whose first line is a length. */
static struct resp_value *parse_sized(struct input *in, struct resp_value *v, char type,
                                      struct slice head, int depth)
{
    int64_t n;
    if (!number(head, &n) || n < -1 || n > (type == '$' || type == '=' ? 1 << 30 : ITEMS_MAX))
        return stop(in, RESP_PARSE_BAD, v);
    if (n == -1) {
        v->kind = RV_NULL;
        return v;
    }
    if (type == '$' || type == '=')
        return parse_bulk(in, v, n, type);
    v->kind = type == '%' ? RV_MAP : type == '>' ? RV_PUSH : RV_ARRAY;
    return parse_items(in, v, type == '%' ? 2 * n : n, depth);
}

static struct resp_value *parse(struct input *in, int depth)
{
    struct slice head;
    if (in->at >= in->all.len)
        return stop(in, RESP_PARSE_MORE, NULL);
    char type = (char)in->all.data[in->at];
    if (depth > DEPTH_MAX || !strchr("+-:$*_#,=%~>", type) || type == '\0')
        return stop(in, RESP_PARSE_BAD, NULL);
    in->at++;
    if (!line(in, &head))
        return NULL;
    struct resp_value *v = calloc(1, sizeof(*v));
    if (!v)
        return stop(in, RESP_PARSE_BAD, NULL);
    switch (type) {
    case '_': v->kind = RV_NULL; return v;
    case ':': v->kind = RV_INT; return number(head, &v->n) ? v : stop(in, RESP_PARSE_BAD, v);
    case '#':
        v->kind = RV_BOOL;
        v->n = slice_equal(head, SLICE_LIT("t"));
        return v->n || slice_equal(head, SLICE_LIT("f")) ? v : stop(in, RESP_PARSE_BAD, v);
    case '+':
    case '-':
    case ',':
        v->kind = type == '+' ? RV_SIMPLE : type == '-' ? RV_ERROR : RV_DOUBLE;
        return take_bytes(v, head) ? v : stop(in, RESP_PARSE_BAD, v);
    default: return parse_sized(in, v, type, head, depth);
    }
}

enum resp_parse resp_value_parse(struct slice bytes, struct resp_value **ret_v, size_t *ret_used)
{
    struct input in = {.all = bytes};
    struct resp_value *v = parse(&in, 0);
    if (!v)
        return in.state;
    *ret_v = v;
    *ret_used = in.at;
    return RESP_PARSE_OK;
}

void resp_value_free(struct resp_value *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->n_items; i++)
        resp_value_free(v->item[i]);
    free(v->item);
    free(v->bytes);
    free(v);
}

static void print_quoted(struct buf *out, const char *bytes, size_t n)
{
    buf_put_u8(out, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '\n')
            buf_put_str(out, "\\n");
        else if (c == '\r')
            buf_put_str(out, "\\r");
        else if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < ' ' || c > '~')
            buf_printf(out, "\\x%02x", c);
        else
            buf_put_u8(out, c);
    }
    buf_put_u8(out, '"');
}

static void print_items(const struct resp_value *v, struct buf *out)
{
    bool map = v->kind == RV_MAP;
    buf_put_str(out, map ? "{" : v->kind == RV_PUSH ? "push[" : "[");
    for (size_t i = 0; i < v->n_items; i++) {
        if (i)
            buf_put_str(out, map && i % 2 ? ": " : ", ");
        resp_value_print(v->item[i], out);
    }
    buf_put_str(out, map ? "}" : "]");
}

void resp_value_print(const struct resp_value *v, struct buf *out)
{
    switch (v->kind) {
    case RV_SIMPLE:
    case RV_DOUBLE: buf_put(out, v->bytes, v->len); break;
    case RV_ERROR:
        buf_put_u8(out, '-');
        buf_put(out, v->bytes, v->len);
        break;
    case RV_INT: buf_put_int(out, v->n); break;
    case RV_BULK: print_quoted(out, v->bytes, v->len); break;
    case RV_NULL: buf_put_str(out, "null"); break;
    case RV_BOOL: buf_put_str(out, v->n ? "true" : "false"); break;
    case RV_ARRAY:
    case RV_MAP:
    case RV_PUSH: print_items(v, out); break;
    }
}

const struct resp_value *resp_value_get(const struct resp_value *v, const char *key)
{
    if (!v || (v->kind != RV_MAP && v->kind != RV_ARRAY))
        return NULL;
    for (size_t i = 0; i + 1 < v->n_items; i += 2) {
        const struct resp_value *k = v->item[i];
        if (k->bytes && strcmp(k->bytes, key) == 0)
            return v->item[i + 1];
    }
    return NULL;
}

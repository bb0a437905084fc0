/*
 * json.c: prints reply tokens as JSON text. The broker's only file that knows cJSON; base64 is libcrypto's.
 *
 *   MAP 2 "txid" "42" "messages" ARRAY 1 ...   ──►   {"txid":"42","messages":[...]}
 *
 * Brackets, commas and integers are written straight to the output; cJSON prints strings and doubles. A tree of cJSON
 * values would be wrong: its strings end at a NUL, and its numbers are doubles, which lose offsets above 2^53. So a
 * string goes to cJSON in the pieces between its NULs, and each NUL becomes \u0000.
 *
 * json_member reads the short answers of a webhook.
 *
 * To add a kind of token: a case in `json_token_value`.
 */
#include "broker/base/json.h"

#include <cjson/cJSON.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/reply.h"
#include "protocol/base/text.h"

#define DEPTH_MAX 16
#define PIECE_BYTES ((size_t)KIB(32)) /* for cJSON at a time: its copies stay in the cache */

struct writer {
    struct cursor in;
    struct buf *out;
    struct buf piece; /* NUL-ended, well-formed text for cJSON */
    unsigned depth;
    bool in_properties;
};

static bool json_value(struct writer *w);

static bool json_put_printed(struct writer *w, cJSON *item, size_t skip)
{
    char *text = item ? cJSON_PrintUnformatted(item) : NULL;
    if (text) {
        size_t n = strlen(text);
        buf_put(w->out, text + skip, n - 2 * skip);
    }
    cJSON_free(text);
    cJSON_Delete(item);
    return text != NULL;
}

/* Prints the piece without quotes: those belong to the whole string. */
static bool json_put_piece(struct writer *w)
{
    buf_put_u8(&w->piece, 0);
    if (w->piece.failed)
        return false;
    bool done = json_put_printed(w, cJSON_CreateStringReference((const char *)w->piece.data), 1);
    buf_reset(&w->piece, SIZE_MAX);
    return done;
}

/* Bytes of the well-formed UTF-8 sequence that s begins with; 0: none. */
static size_t json_sequence_at(struct slice s)
{
    for (size_t n = 1; n <= 4 && n <= s.len; n++) {
        if (text_utf8_ok(slice_of(s.data, n)))
            return n;
    }
    return 0;
}

/* Can a byte of s only be inside of a sequence? */
static bool json_goes_on_at(struct slice s, size_t at)
{
    return at < s.len && (s.data[at] & 0xc0) == 0x80;
}

/* The beginning of s that is one piece: up to its first NUL, and no more than PIECE_BYTES, where no sequence is cut. */
static struct slice json_part(struct slice s)
{
    size_t most = s.len < PIECE_BYTES ? s.len : PIECE_BYTES;
    const uint8_t *nul = memchr(s.data, 0, most);
    if (nul)
        return slice_of(s.data, (size_t)(nul - s.data));
    size_t at = most;
    for (int back = 0; back < 3 && json_goes_on_at(s, at); back++)
        at--;
    return slice_of(s.data, json_goes_on_at(s, at) ? most : at); /* no sequence has four such bytes */
}

/* Appends the first piece of s, with U+FFFD for bytes that are not UTF-8. Returns how many bytes of s. */
static size_t json_collect(struct writer *w, struct slice s)
{
    struct slice part = json_part(s);
    if (text_utf8_ok(part)) {
        buf_put_slice(&w->piece, part);
        return part.len;
    }
    for (size_t i = 0; i < part.len;) {
        size_t n = json_sequence_at(slice_of(part.data + i, part.len - i));
        if (n > 0)
            buf_put(&w->piece, part.data + i, n);
        else
            buf_put_str(&w->piece, "\xef\xbf\xbd");
        i += n > 0 ? n : 1;
    }
    return part.len;
}

static bool json_string(struct writer *w, struct slice s)
{
    buf_put_u8(w->out, '"');
    for (size_t i = 0; i < s.len;) {
        if (s.data[i] == 0) {
            buf_put_str(w->out, "\\u0000");
            i++;
            continue;
        }
        i += json_collect(w, slice_of(s.data + i, s.len - i));
        if (!json_put_piece(w))
            return false;
    }
    buf_put_u8(w->out, '"');
    return true;
}

/* RFC 4648, with padding. libcrypto counts in int, and puts a NUL behind what it wrote. */
static void json_base64(struct writer *w, struct slice s)
{
    const size_t step = 3 << 20; /* whole groups of three: only the last step is padded */
    for (size_t at = 0; at < s.len; at += step) {
        size_t n = s.len - at < step ? s.len - at : step;
        uint8_t *room = buf_room(w->out, (n + 2) / 3 * 4 + 1);
        if (!room)
            return;
        buf_added(w->out, (size_t)EVP_EncodeBlock(room, s.data + at, (int)n));
    }
}

static bool json_body(struct writer *w, struct slice s)
{
    if (text_utf8_ok(s)) {
        buf_put_str(w->out, "\"body\":");
        return json_string(w, s);
    }
    buf_put_str(w->out, "\"body_base64\":\"");
    json_base64(w, s);
    buf_put_u8(w->out, '"');
    return true;
}

static bool json_is_string(const struct token *t)
{
    return t->kind == TOK_SIMPLE || t->kind == TOK_BULK || t->kind == TOK_TEXT;
}

/* One key and its value. */
static bool json_pair(struct writer *w)
{
    struct token key, next;
    if (!reply_next(&w->in, &key) || !json_is_string(&key))
        return false;
    struct cursor ahead = w->in;
    if (!w->in_properties && slice_equal(key.bytes, SLICE_LIT("body")) && reply_next(&ahead, &next) &&
        json_is_string(&next)) {
        w->in = ahead;
        return json_body(w, next.bytes);
    }
    if (!json_string(w, key.bytes))
        return false;
    buf_put_u8(w->out, ':');
    bool outer = w->in_properties;
    w->in_properties = outer || slice_equal(key.bytes, SLICE_LIT("properties"));
    bool done = json_value(w);
    w->in_properties = outer;
    return done;
}

/* Writes n members between brackets; `one` writes each. */
static bool json_members(struct writer *w, int64_t n, const char *brackets, bool (*one)(struct writer *w))
{
    buf_put_u8(w->out, (uint8_t)brackets[0]);
    for (int64_t i = 0; i < n; i++) {
        if (i > 0)
            buf_put_u8(w->out, ',');
        if (!one(w) || w->out->failed)
            return false;
    }
    buf_put_u8(w->out, (uint8_t)brackets[1]);
    return true;
}

/* The four values of a message under their names, as in MessagePack-RPC. */
static bool json_message(struct writer *w)
{
    struct token t;
    buf_put_str(w->out, "{\"id\":");
    if (!json_value(w))
        return false;
    buf_put_u8(w->out, ',');
    if (!reply_next(&w->in, &t) || !json_is_string(&t) || !json_body(w, t.bytes))
        return false;
    buf_put_str(w->out, ",\"attributes\":");
    if (!json_value(w))
        return false;
    buf_put_str(w->out, ",\"properties\":");
    w->in_properties = true;
    bool done = json_value(w);
    w->in_properties = false;
    buf_put_u8(w->out, '}');
    return done;
}

static bool json_error(struct writer *w, const struct token *t)
{
    buf_put_str(w->out, "{\"error\":");
    if (!json_string(w, slice_str(status_code(t->status))))
        return false;
    buf_put_str(w->out, ",\"text\":");
    if (!json_string(w, t->bytes))
        return false;
    buf_put_u8(w->out, '}');
    return true;
}

static bool json_token_value(struct writer *w, const struct token *t)
{
    switch (t->kind) {
    case TOK_NULL:
        buf_put_str(w->out, "null");
        return true;
    case TOK_OK:
        return json_string(w, SLICE_LIT("OK"));
    case TOK_INT:
        buf_put_int(w->out, t->n);
        return true;
    case TOK_BOOL:
        buf_put_str(w->out, t->n ? "true" : "false");
        return true;
    case TOK_DOUBLE:
        return json_put_printed(w, cJSON_CreateNumber(t->d), 0);
    case TOK_SIMPLE:
    case TOK_BULK:
    case TOK_TEXT:
        return json_string(w, t->bytes);
    case TOK_ARRAY:
    case TOK_PUSH:
        return json_members(w, t->n, "[]", json_value);
    case TOK_MAP:
        return json_members(w, t->n, "{}", json_pair);
    case TOK_ERROR:
        return json_error(w, t);
    case TOK_MESSAGE:
        return json_message(w);
    case TOK_COUNT:
        break;
    }
    return false;
}

static bool json_value(struct writer *w)
{
    struct token t;
    if (w->depth == DEPTH_MAX || !reply_next(&w->in, &t))
        return false;
    w->depth++;
    bool done = json_token_value(w, &t);
    w->depth--;
    return done;
}

bool json_from_reply(struct slice reply_value, struct buf *out)
{
    struct writer w = {.in = cursor_of(reply_value), .out = out};
    buf_init(&w.piece, 0);
    bool done = json_value(&w);
    buf_free(&w.piece);
    return done && !out->failed;
}

/* ---- reading ---- */

static bool json_only_blanks(const char *at, const char *end)
{
    while (at < end && memchr(" \t\r\n", *at, 4))
        at++;
    return at == end;
}

/* The member of an object under a key; NULL: there is none, or more than one, and who knows which one is meant. */
static const cJSON *json_only_member(const cJSON *object, const char *key)
{
    const cJSON *found = NULL, *item = NULL;
    cJSON_ArrayForEach(item, object) {
        if (strcmp(item->string, key) != 0)
            continue;
        if (found)
            return NULL;
        found = item;
    }
    return found;
}

/* The text as a tree; NULL: it is not one JSON value, or no memory. */
static cJSON *json_tree(struct slice text)
{
    const char *start = (const char *)text.data, *end = NULL;
    cJSON *tree = text.len ? cJSON_ParseWithLengthOpts(start, text.len, &end, false) : NULL;
    if (tree && json_only_blanks(end, start + text.len))
        return tree;
    cJSON_Delete(tree);
    return NULL;
}

bool json_member(struct slice text, const char *key, char *out, size_t out_size)
{
    cJSON *tree = json_tree(text);
    const cJSON *item = tree && cJSON_IsObject(tree) ? json_only_member(tree, key) : NULL;
    const char *value = cJSON_GetStringValue(item);
    bool fits = value && strlen(value) < out_size;
    if (fits)
        snprintf(out, out_size, "%s", value);
    cJSON_Delete(tree);
    return fits;
}

bool json_each(struct slice text, const char *key, void (*each)(void *arg, struct slice object), void *arg)
{
    cJSON *tree = json_tree(text);
    const cJSON *item = NULL, *list = tree && cJSON_IsObject(tree) ? json_only_member(tree, key) : NULL;
    bool good = cJSON_IsArray(list);
    for (item = good ? list->child : NULL; item && good; item = item->next) {
        char *object = cJSON_IsObject(item) ? cJSON_PrintUnformatted(item) : NULL;
        if (object)
            each(arg, slice_str(object));
        good = object || !cJSON_IsObject(item);
        cJSON_free(object);
    }
    cJSON_Delete(tree);
    return good;
}

bool json_names(struct slice text, const char *value)
{
    cJSON *tree = json_tree(text);
    const cJSON *item = cJSON_IsArray(tree) ? tree->child : tree;
    bool there = false;
    for (; item && !there; item = item->next)
        there = cJSON_IsString(item) && strcmp(item->valuestring, value) == 0;
    cJSON_Delete(tree);
    return there;
}

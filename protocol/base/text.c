/*
 * text.c: numbers, names, ids and receipts; with digest.c the only file that knows xxhash.
 * Durations and times are in text_time.c.
 *
 * Everything here runs once or more for each command of a client, so character classes are table
 * look-ups, and the check for UTF-8 steps over plain ASCII eight bytes at a time.
 */
#include "protocol/base/text.h"

#include <assert.h>
#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

bool text_uint(struct slice s, uint64_t *ret_v)
{
    if (s.len == 0 || s.len > UINT_DIGITS_MAX)
        return false;
    size_t safe = s.len < UINT_DIGITS_MAX ? s.len : UINT_DIGITS_MAX - 1; /* only one more may be too many */
    uint64_t v = 0;
    for (size_t i = 0; i < safe; i++) {
        unsigned digit = (unsigned)s.data[i] - '0';
        if (digit > 9)
            return false;
        v = v * 10 + digit;
    }
    if (safe < s.len) {
        unsigned digit = (unsigned)s.data[safe] - '0';
        if (digit > 9 || v > UINT64_MAX / 10 || v * 10 > UINT64_MAX - digit)
            return false;
        v = v * 10 + digit;
    }
    *ret_v = v;
    return true;
}

bool text_int(struct slice s, int64_t *ret_v)
{
    bool minus = s.len > 0 && s.data[0] == '-';
    uint64_t v;
    if (!text_uint(minus ? slice_of(s.data + 1, s.len - 1) : s, &v))
        return false;
    if (v > (uint64_t)INT64_MAX + (minus ? 1 : 0))
        return false;
    if (!minus)
        *ret_v = (int64_t)v;
    else
        *ret_v = v > (uint64_t)INT64_MAX ? INT64_MIN : -(int64_t)v;
    return true;
}

/* 1: part of a name a client may write; 2: '%', the mark of the system's own names. */
static const uint8_t name_class[256] = {
    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1,
    ['8'] = 1, ['9'] = 1, ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1,
    ['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1,
    ['O'] = 1, ['P'] = 1, ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1, ['V'] = 1,
    ['W'] = 1, ['X'] = 1, ['Y'] = 1, ['Z'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1,
    ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1,
    ['m'] = 1, ['n'] = 1, ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1,
    ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1, ['y'] = 1, ['z'] = 1, ['.'] = 1, ['_'] = 1,
    ['-'] = 1, ['%'] = 2,
};

/* %DLQ%<group> and %RETRY%<group> may be longer than a group's name by their own first part. */
static size_t text_name_bytes_max(struct slice s)
{
    static const char *const heads[] = {"%DLQ%", "%RETRY%"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t n = strlen(heads[i]);
        if (s.len > n && memcmp(s.data, heads[i], n) == 0)
            return NAME_BYTES_MAX + n;
    }
    return NAME_BYTES_MAX;
}

bool text_name_ok(struct slice s, bool client_may_write)
{
    if (s.len == 0 || s.len > (client_may_write ? NAME_BYTES_MAX : text_name_bytes_max(s)))
        return false;
    uint8_t highest = client_may_write ? 1 : 2;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t class = name_class[s.data[i]];
        if (class == 0 || class > highest)
            return false;
    }
    return true;
}

bool text_user_ok(struct slice s)
{
    if (s.len == 0 || s.len > NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] != '@' && name_class[s.data[i]] != 1)
            return false;
    }
    return true;
}

/* Ids are compared and hashed as text in places, so a number has one form: no leading zeros. */
static bool text_plain_uint(struct slice s, uint64_t most, uint64_t *ret_v)
{
    uint64_t v;
    if ((s.len > 1 && s.data[0] == '0') || !text_uint(s, &v) || v > most)
        return false;
    *ret_v = v;
    return true;
}

/* Reads the number at *at, as text_plain_uint, and moves *at behind it. most: not over INT64_MAX. */
static bool text_step_uint(const uint8_t **at, const uint8_t *end, uint64_t most, uint64_t *ret_v)
{
    const uint8_t *from = *at, *p = from;
    uint64_t v = 0;
    for (; p < end && (uint8_t)(*p - '0') <= 9; p++)
        v = v * 10 + (uint8_t)(*p - '0');
    size_t digits = (size_t)(p - from);
    if (digits == 0 || digits >= UINT_DIGITS_MAX || (digits > 1 && *from == '0') || v > most)
        return false;
    *at = p;
    *ret_v = v;
    return true;
}

/* Reads the name at *at, and the ':' behind it. */
static bool text_step_name(const uint8_t **at, const uint8_t *end, struct slice *ret_name)
{
    const uint8_t *from = *at, *p = from;
    while (p < end && name_class[*p])
        p++;
    *ret_name = slice_of(from, (size_t)(p - from));
    *at = p + 1;
    size_t most = p > from && *from == '%' ? text_name_bytes_max(*ret_name) : NAME_BYTES_MAX;
    return p < end && *p == ':' && p > from && ret_name->len <= most;
}

/* Reads topic:queue:first-last, or topic:queue:offset, at *at. An ACK may name thousands, so it goes over each byte once. */
static bool text_step_range(const uint8_t **at, const uint8_t *end, struct message_id *ret_first, uint64_t *ret_last)
{
    struct slice topic;
    uint64_t queue, first, last;
    if (!text_step_name(at, end, &topic) || !text_step_uint(at, end, UINT32_MAX, &queue) || *at == end || *(*at)++ != ':' ||
        !text_step_uint(at, end, INT64_MAX, &first))
        return false;
    last = first;
    if (*at < end && **at == '-') {
        ++*at;
        if (!text_step_uint(at, end, INT64_MAX, &last) || first > last)
            return false;
    }
    *ret_first = (struct message_id){topic, (uint32_t)queue, first, 0};
    *ret_last = last;
    return true;
}

bool text_id_range(struct slice s, struct message_id *ret_first, uint64_t *ret_last)
{
    const uint8_t *at = s.data, *end = s.data + s.len;
    struct message_id first;
    uint64_t last;
    if (!s.len || !text_step_range(&at, end, &first, &last) || at != end)
        return false;
    *ret_first = first;
    *ret_last = last;
    return true;
}

bool text_receipt_range(struct slice s, struct message_id *ret_first, uint64_t *ret_last)
{
    const uint8_t *at = s.data, *end = s.data + s.len;
    struct message_id first;
    uint64_t attempt, last;
    if (!s.len || !text_step_range(&at, end, &first, &last) || at == end || *at++ != '#')
        return false;
    if (!text_step_uint(&at, end, UINT32_MAX, &attempt) || at != end || attempt == 0 || last - first.offset >= COUNT_MAX)
        return false;
    first.attempt = (uint32_t)attempt;
    *ret_first = first;
    *ret_last = last;
    return true;
}

/* A range of one in the long form, "5-5", is not the text of an id or a receipt. */
static bool text_names_one(struct slice s, const struct message_id *id, uint64_t last)
{
    size_t behind = id->topic.len + 1; /* names may hold a '-' */
    return last == id->offset && !memchr(s.data + behind, '-', s.len - behind);
}

bool text_id(struct slice s, struct message_id *ret_id)
{
    struct message_id id;
    uint64_t last;
    if (!text_id_range(s, &id, &last) || !text_names_one(s, &id, last))
        return false;
    *ret_id = id;
    return true;
}

bool text_receipt(struct slice s, struct message_id *ret_id)
{
    struct message_id id;
    uint64_t last;
    if (!text_receipt_range(s, &id, &last) || !text_names_one(s, &id, last))
        return false;
    *ret_id = id;
    return true;
}

bool text_txid(struct slice s, uint64_t *ret_txid)
{
    uint64_t v;
    if (!text_plain_uint(s, TXID_MAX, &v) || v < TXID_MIN)
        return false;
    *ret_txid = v;
    return true;
}

bool text_token(struct slice s, uint64_t *ret_token)
{
    return s.len > 1 && s.data[0] == '@' && text_txid(slice_of(s.data + 1, s.len - 1), ret_token);
}

void text_put_id(struct buf *b, struct slice topic, uint32_t queue, uint64_t offset)
{
    buf_put_slice(b, topic);
    buf_put_u8(b, ':');
    buf_put_uint(b, queue);
    buf_put_u8(b, ':');
    buf_put_uint(b, offset);
}

void text_put_token(struct buf *b, uint64_t token)
{
    buf_put_u8(b, '@');
    buf_put_uint(b, token);
}

void text_put_receipt(struct buf *b, struct slice topic, uint32_t queue, uint64_t offset,
                      uint32_t attempt)
{
    text_put_receipt_range(b, topic, queue, offset, offset, attempt);
}

void text_put_receipt_range(struct buf *b, struct slice topic, uint32_t queue, uint64_t first,
                            uint64_t last, uint32_t attempt)
{
    text_put_id(b, topic, queue, first);
    if (last != first) {
        buf_put_u8(b, '-');
        buf_put_uint(b, last);
    }
    buf_put_u8(b, '#');
    buf_put_uint(b, attempt);
}

/* Length of the well-formed sequence that begins at p (a byte over 0x7f), or 0. */
static size_t text_utf8_sequence(const uint8_t *p, size_t left)
{
    uint8_t lowest = 0x80, highest = 0xbf;
    size_t n;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        n = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        n = 3;
        if (p[0] == 0xe0)
            lowest = 0xa0; /* below: an overlong form */
        if (p[0] == 0xed)
            highest = 0x9f; /* above: surrogates */
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        n = 4;
        if (p[0] == 0xf0)
            lowest = 0x90; /* below: an overlong form */
        if (p[0] == 0xf4)
            highest = 0x8f; /* above: past the last code point */
    } else {
        return 0;
    }
    if (left < n || p[1] < lowest || p[1] > highest)
        return 0;
    for (size_t i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return n;
}

bool text_utf8_ok(struct slice s)
{
    size_t i = 0;
    while (i < s.len) {
        if (s.len - i >= sizeof(uint64_t)) {
            uint64_t eight;
            memcpy(&eight, s.data + i, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        if (s.data[i] < 0x80) {
            i++;
            continue;
        }
        size_t n = text_utf8_sequence(s.data + i, s.len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

void text_quote(struct slice s, size_t max, char *out, size_t out_size)
{
    static const char dots[] = "...";
    size_t shown = s.len < max ? s.len : max;
    size_t len = 0, i = 0;
    assert(out_size > 0);
    for (; i < shown; i++) {
        char one[5];
        bool plain = s.data[i] >= 0x20 && s.data[i] < 0x7f && s.data[i] != '\\';
        int n = plain ? snprintf(one, sizeof one, "%c", s.data[i])
                      : snprintf(one, sizeof one, "\\x%02X", s.data[i]);
        if (len + (size_t)n + sizeof dots > out_size)
            break;
        memcpy(out + len, one, (size_t)n);
        len += (size_t)n;
    }
    if (i < s.len && len + sizeof dots <= out_size) {
        memcpy(out + len, dots, sizeof dots - 1);
        len += sizeof dots - 1;
    }
    out[len] = '\0';
}

uint64_t text_hash(struct slice s)
{
    return XXH3_64bits(s.len ? s.data : (const uint8_t *)"", s.len);
}

uint32_t text_checksum(struct slice s) { return (uint32_t)text_hash(s); }

/* XXH3_64bits_update cannot fail but for a NULL state or input, and we give neither. */
uint32_t text_checksum_parts(const struct slice *parts, size_t n)
{
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    for (size_t i = 0; i < n; i++) {
        if (parts[i].len)
            XXH3_64bits_update(&state, parts[i].data, parts[i].len);
    }
    return (uint32_t)XXH3_64bits_digest(&state);
}

uint32_t text_checksum2(struct slice a, struct slice b)
{
    const struct slice parts[] = {a, b};
    return text_checksum_parts(parts, 2);
}

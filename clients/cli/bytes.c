/*
 * bytes.c: see bytes.h. cJSON wants NUL-ended strings, so each is copied once on its way in.
 */
#include "clients/cli/bytes.h"

#include <stdlib.h>

#include "protocol/base/text.h"

bool bytes_are_text(struct slice s)
{
    return s.len == 0 || (!memchr(s.data, 0, s.len) && text_utf8_ok(s));
}

cJSON *bytes_string(struct slice s)
{
    char *copy = malloc(s.len + 1);
    if (!copy)
        return NULL;
    if (s.len)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    cJSON *item = cJSON_CreateString(copy);
    free(copy);
    return item;
}

static void encode_group(const uint8_t *in, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = (uint32_t)in[0] << 16;
    if (n > 1)
        bits |= (uint32_t)in[1] << 8;
    if (n > 2)
        bits |= in[2];
    out[0] = digits[bits >> 18];
    out[1] = digits[(bits >> 12) & 63];
    out[2] = n > 1 ? digits[(bits >> 6) & 63] : '=';
    out[3] = n > 2 ? digits[bits & 63] : '=';
}

cJSON *bytes_base64(struct slice s)
{
    char *text = malloc(s.len / 3 * 4 + 5);
    if (!text)
        return NULL;
    size_t at = 0;
    for (size_t i = 0; i < s.len; i += 3, at += 4)
        encode_group(s.data + i, s.len - i, text + at);
    text[at] = '\0';
    cJSON *item = cJSON_CreateString(text);
    free(text);
    return item;
}

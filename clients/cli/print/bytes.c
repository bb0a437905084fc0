/*
 * bytes.c: makes cJSON strings of bytes. cJSON wants NUL-ended ones, so each is copied once on its way in; base64 is
 * libcrypto's, which counts in int.
 */
#include "clients/cli/print/bytes.h"

#include <limits.h>
#include <openssl/evp.h>
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

cJSON *bytes_base64(struct slice s)
{
    if (s.len > INT_MAX / 2)
        return NULL;
    char *text = malloc(s.len / 3 * 4 + 5); /* with a NUL */
    if (!text)
        return NULL;
    EVP_EncodeBlock((unsigned char *)text, s.data, (int)s.len);
    cJSON *item = cJSON_CreateString(text);
    free(text);
    return item;
}

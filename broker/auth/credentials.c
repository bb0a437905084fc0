/* credentials.c: reads the header Authorization (credentials.h; RFC 7617, RFC 6750). */
#include "broker/auth/credentials.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

/* user:password, where the first colon is the end of the user. */
static bool credentials_split(struct slice text, struct credentials *ret)
{
    const uint8_t *colon = text.len ? memchr(text.data, ':', text.len) : NULL;
    if (!colon)
        return false;
    size_t n = (size_t)(colon - text.data);
    ret->user = slice_of(text.data, n);
    ret->password = slice_of(colon + 1, text.len - n - 1);
    return true;
}

static bool credentials_basic(const char *text, size_t n, struct credentials *ret)
{
    if (n == 0 || n % 4 != 0)
        return false;
    int made = EVP_DecodeBlock(ret->room, (const unsigned char *)text, (int)n);
    size_t padding = (text[n - 1] == '=') + (size_t)(text[n - 2] == '=');
    return made > 0 && (size_t)made >= padding && credentials_split(slice_of(ret->room, (size_t)made - padding), ret);
}

bool credentials_read(const char *value, struct credentials *ret)
{
    bool basic = strncasecmp(value, "Basic ", 6) == 0, bearer = strncasecmp(value, "Bearer ", 7) == 0;
    size_t n = strlen(value);
    ret->user = ret->password = slice_of(NULL, 0);
    if ((!basic && !bearer) || n >= CREDENTIALS_MAX)
        return false;
    const char *text = value + (basic ? 6 : 7);
    text += strspn(text, " ");
    n = strlen(text);
    while (n && text[n - 1] == ' ')
        n--;
    if (basic)
        return credentials_basic(text, n, ret);
    if (!n)
        return false;
    memcpy(ret->room, text, n);
    ret->password = slice_of(ret->room, n);
    return true;
}

void credentials_forget(struct credentials *c)
{
    OPENSSL_cleanse(c->room, sizeof c->room);
}

/*
 * uri.c: sets options from a URI, such as HALFMQ_URL contains.
 *
 *   hmq://user:password@host:port,host:port?name=value&name=value        hmqs:// is the same with tls=yes
 *         └── user, password ┘└── servers ─┘ └── hmq_options_set ┘
 *
 * The URI is split into pieces first and each piece is %-decoded afterwards, so that an encoded '@' or '&' does
 * not separate.
 *
 * Errors go into logs. So they never show a piece of the URI, where a password may be that was not encoded: only names
 * of options behind the '?', unless that may be a part of a password itself.
 */
#include <stdlib.h>
#include <string.h>

#include "clients/c/wire/options.h"

#define URI_BYTES_MAX 8192
#define SCHEME "hmq://"
#define SCHEME_TLS "hmqs://"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decodes %XX in place. False: not hexadecimal, or a zero byte, which no option may hold. */
static bool decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        if (*from != '%') {
            *to = *from++;
            continue;
        }
        int high = hex_value(from[1]);
        int low = high < 0 ? -1 : hex_value(from[2]);
        if (low < 0 || (high == 0 && low == 0))
            return false;
        *to = (char)(high * 16 + low);
        from += 3;
    }
    *to = '\0';
    return true;
}

static enum hmq_status set_decoded(hmq_options *o, char *name, char *value, hmq_error *err)
{
    if (!decode(name) || !decode(value))
        return error_set(err, HMQ_EINVAL,
                         "a %% in the URI is not followed by two hexadecimal digits");
    return hmq_options_set(o, name, value, err);
}

/* "user:password" */
static enum hmq_status set_login(hmq_options *o, char *login, hmq_error *err)
{
    char user[] = "user", password[] = "password";
    char *colon = strchr(login, ':');
    if (colon) {
        *colon = '\0';
        enum hmq_status status = set_decoded(o, password, colon + 1, err);
        if (status != HMQ_OK)
            return status;
    }
    return set_decoded(o, user, login, err);
}

/* "name=value&name=value" */
static enum hmq_status set_pairs(hmq_options *o, char *query, hmq_error *err)
{
    enum hmq_status status = error_none(err);
    while (status == HMQ_OK && query && *query) {
        char *next = strchr(query, '&');
        if (next)
            *next++ = '\0';
        char *equals = strchr(query, '=');
        if (!equals)
            return error_set(err, HMQ_EINVAL, "what is behind the ? of the URI is not of the form name=value&name=value");
        *equals = '\0';
        status = set_decoded(o, query, equals + 1, err);
        query = next;
    }
    return status;
}

/* login: one was found before the '?'. */
static enum hmq_status set_query(hmq_options *o, char *query, bool login, hmq_error *err)
{
    bool doubtful = query && strchr(query, '@') && !login;
    enum hmq_status status = set_pairs(o, query, err);
    if (status == HMQ_EINVAL && doubtful)
        return error_set(err, status, "the URI has an @ behind its ?, and a wrong option there; a ? in a password is written %%3F");
    return status;
}

/* Sets what follows the scheme; overwrites the text. */
static enum hmq_status set_parts(hmq_options *o, char *text, hmq_error *err)
{
    char servers[] = "servers";
    char *query = strchr(text, '?');
    if (query)
        *query++ = '\0';
    char *at = strrchr(text, '@');
    char *hosts = at ? at + 1 : text;
    if (at)
        *at = '\0';
    size_t n = strlen(hosts);
    if (n > 0 && hosts[n - 1] == '/')
        hosts[--n] = '\0';
    if (n == 0 || strchr(hosts, '/'))
        return error_set(err, HMQ_EINVAL, "the URI names no host; it looks like hmq://host:port");
    enum hmq_status status = set_decoded(o, servers, hosts, err);
    if (status == HMQ_OK && at)
        status = set_login(o, text, err);
    return status == HMQ_OK ? set_query(o, query, at != NULL, err) : status;
}

enum hmq_status hmq_options_set_uri(hmq_options *o, const char *uri, hmq_error *err)
{
    if (!o)
        return error_set(err, HMQ_EINVAL, "the options are NULL");
    if (!uri)
        uri = getenv("HALFMQ_URL");
    if (!uri)
        return error_none(err);
    bool tls = strncmp(uri, SCHEME_TLS, strlen(SCHEME_TLS)) == 0;
    if ((!tls && strncmp(uri, SCHEME, strlen(SCHEME)) != 0) || strlen(uri) > URI_BYTES_MAX)
        return error_set(err, HMQ_EINVAL, "the URI does not begin with hmq:// or hmqs://, or is longer than %d bytes",
                         URI_BYTES_MAX);
    char *copy = strdup(uri + strlen(tls ? SCHEME_TLS : SCHEME));
    if (!copy)
        return error_plain(err, HMQ_ENOMEM);
    enum hmq_status status = set_parts(o, copy, err);
    if (status == HMQ_OK && tls)
        status = hmq_options_set(o, "tls", "yes", err);
    free(copy);
    return status;
}

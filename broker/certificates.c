/*
 * certificates.c: which files, whether they go together, and what the log says of them.
 *
 * The files are read where the command or the signal comes in: a few kilobytes, seldom.
 */
#include "broker/certificates.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker/base/clock.h"
#include "broker/base/log.h"
#include "broker/server_inner.h"

#define PATH_SIZE 1024
#define SOON_S (INT64_C(14) * 24 * 3600) /* a certificate that expires so soon is warned about */

struct certificates_wish {
    char cert[PATH_SIZE], key[PATH_SIZE], ca[PATH_SIZE];
    int64_t client_auth, min, tls, user;
};

static const struct setting_change *certificates_change(const struct setting_change *changes, size_t n, enum setting_id id)
{
    while (n-- > 0) {
        if (changes[n].id == id)
            return &changes[n];
    }
    return NULL;
}

static void certificates_path(struct settings *c, const struct setting_change *changes, size_t n, enum setting_id id,
                              char out[PATH_SIZE])
{
    const struct setting_change *change = certificates_change(changes, n, id);
    struct buf text;
    buf_init(&text, 0);
    if (change)
        buf_put_slice(&text, change->text);
    else
        settings_put(c, id, &text);
    /* Without memory it is a file that is not there. The table of settings bounds the length. */
    snprintf(out, PATH_SIZE, "%.*s", text.failed ? 1 : (int)text.len, text.failed ? "?" : text.len ? (const char *)text.data : "");
    buf_free(&text);
}

static int64_t certificates_num(const struct settings *c, const struct setting_change *changes, size_t n,
                                enum setting_id id)
{
    const struct setting_change *change = certificates_change(changes, n, id);
    return change ? change->num : settings_num(c, id);
}

static void certificates_wish(struct settings *c, const struct setting_change *changes, size_t n,
                              struct certificates_wish *w)
{
    certificates_path(c, changes, n, SET_tls_cert, w->cert);
    certificates_path(c, changes, n, SET_tls_key, w->key);
    certificates_path(c, changes, n, SET_tls_ca, w->ca);
    w->client_auth = certificates_num(c, changes, n, SET_tls_client_auth);
    w->min = certificates_num(c, changes, n, SET_tls_min);
    w->tls = certificates_num(c, changes, n, SET_tls);
    w->user = certificates_num(c, changes, n, SET_tls_user);
}

/* What does not go together. NULL: it does. */
static const char *certificates_contradiction(const struct certificates_wish *w)
{
    if (w->cert[0] && !w->key[0])
        return "tls_cert is set, and tls_key is not: TLS needs both";
    if (!w->cert[0] && w->key[0])
        return "tls_key is set, and tls_cert is not: TLS needs both";
    if (!w->cert[0] && w->tls)
        return "tls is required, but there is no certificate: set tls_cert and tls_key";
    if (w->client_auth != TLS_CLIENT_NO && !w->cert[0])
        return "tls_client_auth needs TLS: set tls_cert and tls_key";
    if (w->client_auth != TLS_CLIENT_NO && !w->ca[0])
        return "tls_client_auth needs the authorities that clients' certificates come from: set tls_ca";
    if (w->user != TLS_USER_NO && w->client_auth == TLS_CLIENT_NO)
        return "tls_user takes the user's name from a client's certificate: set tls_client_auth to optional or required";
    return NULL;
}

/* All zero: TLS is not spoken. */
static bool certificates_read(const struct certificates_wish *w, struct tls_context *ret, char *err, size_t err_size)
{
    const struct tls_options o = {.cert = w->cert,
                                  .key = w->key,
                                  .ca = w->ca,
                                  .client_auth = (enum tls_client_auth)w->client_auth,
                                  .user = (enum tls_user)w->user,
                                  .min_1_2 = w->min != 0,
                                  .now_s = clock_wall_ms() / 1000};
    const char *wrong = certificates_contradiction(w);
    *ret = (struct tls_context){0};
    if (wrong) {
        snprintf(err, err_size, "%s", wrong);
        return false;
    }
    return !w->cert[0] || tls_context_new(&o, ret, err, err_size) == ST_OK;
}

bool certificates_fit(struct settings *c, const struct setting_change *changes, size_t n, char *err, size_t err_size)
{
    struct certificates_wish w;
    struct tls_context read;
    certificates_wish(c, changes, n, &w);
    if (!certificates_read(&w, &read, err, err_size))
        return false;
    tls_context_free(&read);
    return true;
}

static void certificates_tell(const char *path, int64_t expires_s)
{
    char day[32] = "", quoted[256];
    time_t when = expires_s;
    struct tm tm;
    if (gmtime_r(&when, &tm))
        strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%SZ", &tm);
    bool soon = expires_s - clock_wall_ms() / 1000 < SOON_S;
    log_event(soon ? LOG_WARN : LOG_INFO, soon ? "TLS is on; the certificate expires soon" : "TLS is on",
              " tls_cert=%s expires=%s", log_quote(path, quoted, sizeof quoted), day);
}

bool certificates_load(struct server *s, char *err, size_t err_size)
{
    struct certificates_wish w;
    struct tls_context read;
    certificates_wish(s->settings, NULL, 0, &w);
    if (!certificates_read(&w, &read, err, err_size))
        return false;
    int64_t expires_s = read.expires_s;
    tls_server_install(&s->tls, &read);
    if (w.cert[0])
        certificates_tell(w.cert, expires_s);
    return true;
}

void certificates_reload(struct server *s)
{
    char err[1024], quoted[1200];
    if (!certificates_load(s, err, sizeof err))
        log_event(LOG_ERROR, "the TLS certificate was not taken; connections are served with the old one", " reason=%s",
                  log_quote(err, quoted, sizeof quoted));
}

bool certificates_concern(const struct setting_change *changes, size_t n)
{
    static const enum setting_id ids[] = {SET_tls_cert, SET_tls_key, SET_tls_ca, SET_tls_client_auth,
                                          SET_tls_min,  SET_tls,     SET_tls_user};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        if (certificates_change(changes, n, ids[i]))
            return true;
    }
    return false;
}

/* entrance.c: the password of the settings, keys, protected mode (entrance.h). */
#include "broker/entrance.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/access/roster.h"
#include "broker/auth/acl_log.h"
#include "broker/auth/auth.h"
#include "broker/auth/secret_file.h"
#include "broker/base/clock.h"
#include "broker/base/log.h"
#include "broker/server_inner.h"
#include "protocol/base/reply.h"

#define ANSWER_MS 100 /* how long the main thread waits before it looks again whether it has to lead */

struct entrance {
    struct journal_client client;
    struct server *server;
    struct buf password; /* empty: none is set */
    pthread_mutex_t lock;
    pthread_cond_t came;
    struct entry_list done; /* under the lock */
};

static bool entrance_fail(char *err, size_t err_size, const char *text)
{
    snprintf(err, err_size, "%s", text);
    return false;
}

/* ---- as a client of the journal ---- */

static void entrance_on_post(struct journal_client *c, struct entry_list *done)
{
    struct entrance *e = (struct entrance *)c;
    pthread_mutex_lock(&e->lock);
    entry_append(&e->done, done);
    pthread_cond_signal(&e->came);
    pthread_mutex_unlock(&e->lock);
}

static void entrance_on_news(struct journal_client *c, const struct effects *fx)
{
    (void)c, (void)fx;
}

static void entrance_on_nudge(struct journal_client *c)
{
    struct entrance *e = (struct entrance *)c;
    pthread_mutex_lock(&e->lock);
    pthread_cond_signal(&e->came);
    pthread_mutex_unlock(&e->lock);
}

void entrance_register(struct entrance *e)
{
    journal_register(e->server->journal, &e->client);
}

/* Does a command, and waits. NULL: it was not taken. */
static struct entry *entrance_do(struct entrance *e, const struct command *cmd)
{
    struct entry *mine = entry_new(NULL, cmd), *done = NULL;
    if (!mine)
        return NULL;
    mine->owner = &e->client;
    if (!journal_submit(e->server->journal, &e->client, mine)) {
        entry_free(mine);
        return NULL;
    }
    while (!done) {
        journal_turn(e->server->journal, &e->client, TURN_NEWS_FIRST);
        pthread_mutex_lock(&e->lock);
        if (!e->done.first)
            clock_wait(&e->came, &e->lock, ANSWER_MS);
        done = entry_pop(&e->done);
        pthread_mutex_unlock(&e->lock);
    }
    return done;
}

/* ---- the password ---- */

static bool entrance_read_password(struct entrance *e, char *err, size_t err_size)
{
    const struct settings *c = e->server->settings;
    const char *password = settings_text(c, SET_password), *path = settings_text(c, SET_password_file);
    if (password[0] && path[0])
        return entrance_fail(err, err_size, "password and password_file are both set: one of them is enough");
    if (path[0] && secret_file_line("password_file", path, &e->password, err, err_size) != ST_OK)
        return false;
    buf_put_str(&e->password, password);
    if (e->password.len > PASSWORD_BYTES_MAX)
        return entrance_fail(err, err_size, "password_file: the password is longer than 512 bytes");
    return !e->password.failed || entrance_fail(err, err_size, "no memory for the password");
}

/* Has `default` exactly this password, and is it on? */
static bool entrance_has_password(const struct entrance *e, const struct access_user *u)
{
    struct scrypt s;
    return u->row.on && !u->row.nopass && u->row.n_hashes == 1 && scrypt_parse(u->row.hash[0], &s) &&
           scrypt_is(&s, buf_slice(&e->password));
}

/* Is there anybody who may change the rules of users? `default` will be on. */
static bool entrance_has_administrator(const struct users *us)
{
    if (user_row_allows(&users_default(us)->row, CMD_ACL_SETUSER))
        return true;
    for (uint32_t i = 0; i < users_count(us); i++) {
        const struct access_user *u = users_at(us, i);
        if (u->row.on && !u->damaged && user_row_allows(&u->row, CMD_ACL_SETUSER))
            return true;
    }
    return false;
}

static bool entrance_change(struct entrance *e, bool everything, char *err, size_t err_size)
{
    char rule[SCRYPT_TEXT_MAX + 1] = "#";
    struct scrypt s;
    if (scrypt_make(NULL, buf_slice(&e->password), &s) != ST_OK)
        return entrance_fail(err, err_size, "the password cannot be hashed: no memory, or no randomness");
    scrypt_print(&s, rule + 1);
    struct slice rules[] = {SLICE_LIT("on"),        SLICE_LIT("resetpass"), slice_str(rule),        SLICE_LIT("allcommands"),
                            SLICE_LIT("alltopics"), SLICE_LIT("allgroups"), SLICE_LIT("allpgroups")};
    struct command cmd = {.info = command_info(CMD_ACL_SETUSER),
                          .pos = {SLICE_LIT("default")},
                          .n_pos = 1,
                          .rest = rules,
                          .n_rest = everything ? 7 : 3};
    struct entry *done = entrance_do(e, &cmd);
    enum status failed = ST_OK;
    bool good = done && done->fate == ST_OK && !reply_is_error(buf_slice(&done->out.reply), &failed);
    if (!good)
        snprintf(err, err_size, "the password of the user default cannot be set: %s",
                 status_text(!done ? ST_BUSY : done->fate != ST_OK ? done->fate : failed));
    if (done)
        entry_free(done);
    if (good)
        log_event(LOG_INFO, "the user default has the password of the settings now", "%s",
                  everything ? " hint=\"nobody could change users any more: it may do everything again\"" : "");
    return good;
}

bool entrance_set_password(struct entrance *e, char *err, size_t err_size)
{
    struct users *us = NULL;
    uint64_t gen;
    if (!e->password.len)
        return true;
    if (roster_users(e->server->roster, &e->client, &us, &gen) != ST_OK)
        return entrance_fail(err, err_size, "the users cannot be read: the store is damaged, or there is no memory");
    bool administered = entrance_has_administrator(us);
    bool good = (administered && entrance_has_password(e, users_default(us))) ||
                entrance_change(e, !administered, err, err_size);
    users_release(us);
    secret_forget(&e->password);
    return good;
}

/* ---- keys ---- */

static bool entrance_read_keys(struct entrance *e, char *err, size_t err_size)
{
    const struct settings *c = e->server->settings;
    const struct token_files files = {.keys = settings_text(c, SET_jwt_keys),
                                      .secret = settings_text(c, SET_jwt_secret_file),
                                      .issuer = settings_text(c, SET_jwt_issuer),
                                      .audience = settings_text(c, SET_jwt_audience)};
    struct token_keys *keys = NULL;
    if (token_keys_read(&files, &keys, err, err_size) != ST_OK)
        return false;
    auth_set_keys(e->server->auth, keys);
    return true;
}

void entrance_reload(struct entrance *e)
{
    char err[512], quoted[600];
    if (!entrance_read_keys(e, err, sizeof err))
        log_event(LOG_ERROR, "keys for tokens cannot be read again, the old ones stay", " reason=%s",
                  log_quote(err, quoted, sizeof quoted));
}

/* ---- beginning and end ---- */

struct entrance *entrance_new(struct server *s, char *err, size_t err_size)
{
    struct entrance *e = calloc(1, sizeof *e);
    if (!e || pthread_mutex_init(&e->lock, NULL) != 0) {
        free(e);
        entrance_fail(err, err_size, "no memory for logins");
        return NULL;
    }
    if (!clock_cond_new(&e->came)) {
        pthread_mutex_destroy(&e->lock);
        free(e);
        entrance_fail(err, err_size, "no memory for logins");
        return NULL;
    }
    e->server = s;
    e->client = (struct journal_client){.post = entrance_on_post, .news = entrance_on_news, .nudge = entrance_on_nudge};
    buf_init(&e->password, 2 * SECRET_FILE_BYTES_MAX);
    s->acl_log = acl_log_new();
    s->auth = s->acl_log ? auth_new() : NULL;
    bool good = s->auth || entrance_fail(err, err_size, "cannot start logins: no memory, no randomness or no thread");
    if (good && entrance_read_password(e, err, err_size) && entrance_read_keys(e, err, err_size))
        return e;
    entrance_free(e);
    return NULL;
}

void entrance_stop(struct entrance *e)
{
    auth_stop(e->server->auth);
}

void entrance_free(struct entrance *e)
{
    if (!e)
        return;
    auth_free(e->server->auth);
    acl_log_free(e->server->acl_log);
    e->server->auth = NULL;
    e->server->acl_log = NULL;
    secret_forget(&e->password);
    pthread_cond_destroy(&e->came);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

bool entrance_is_protected(struct server *s)
{
    struct users *us = NULL;
    uint64_t gen;
    if (!settings_num(s->settings, SET_protected_mode) || !s->roster) /* HTTP, while the store is loaded: nothing is shown */
        return false;
    if (roster_users(s->roster, NULL, &us, &gen) != ST_OK)
        return true;
    const struct access_user *u = users_default(us);
    bool open = u->row.on && u->row.nopass;
    users_release(us);
    return open;
}

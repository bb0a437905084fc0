/*
 * settings_store.h: the values of the settings, for the other files of this folder; nobody else includes it.
 */
#ifndef HALFMQ_BROKER_SETTINGS_STORE_H
#define HALFMQ_BROKER_SETTINGS_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/settings/settings.h"

enum settings_source { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_FLAG, FROM_COMMAND };

struct settings_value {
    _Atomic int64_t num;
    char *text;
    enum settings_source source;
    unsigned line; /* FROM_FILE */
};

struct settings {
    pthread_mutex_t lock; /* guards text, source and line of every value */
    struct settings_value values[SETTING_COUNT];
    char *path; /* of the file, NULL without one */
    enum settings_action action;
    char *restore_from; /* with ACTION_RESTORE */
};

/* Where a name and value were found. An error begins with `words` ("" for CONFIG SET). */
struct settings_place {
    enum settings_source source;
    unsigned line;
    char words[256];
};

/* Sets a value that setting_parse has accepted. ST_NOMEM: the old value stays. Any thread. */
enum status settings_store(struct settings *c, enum setting_id id, int64_t num, struct slice text,
                           const struct settings_place *place) MUST_CHECK;

/* CONFIG SET: sets all of them, or none. ST_NOMEM. Any thread. */
enum status settings_store_all(struct settings *c, const struct setting_change *changes, size_t n) MUST_CHECK;

/* Is the value a secret that is set? `password` is by password_file, too. The caller holds the lock. */
bool settings_hides(const struct settings *c, enum setting_id id);

/* The value as it may be seen: of a SECRET "(set)" or nothing. The caller holds the lock. */
const char *settings_shown(const struct settings *c, enum setting_id id);

/* Put an error into err that begins with `where`. Both return ST_ERR. */
enum status settings_unknown_name(struct slice name, const char *where, char *err, size_t err_size);
enum status settings_bad_value(enum setting_id id, struct slice value, const char *where, char *err,
                               size_t err_size);

#endif

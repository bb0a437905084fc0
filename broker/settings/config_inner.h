/*
 * config_inner.h: what config.c (settings while running) and config_load.c (settings at the start)
 * share. Nobody else includes it.
 */
#ifndef HALFMQ_BROKER_CONFIG_INNER_H
#define HALFMQ_BROKER_CONFIG_INNER_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/settings/config.h"

enum source { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_FLAG, FROM_COMMAND };

struct value {
    _Atomic int64_t num;
    char *text;
    enum source source;
    unsigned line; /* FROM_FILE */
};

struct config {
    pthread_mutex_t lock; /* guards text, source and line of every value */
    struct value values[SETTING_COUNT];
    char *path; /* of the file, NULL without one */
    enum config_action action;
};

/* Where a name and value were found, in words fit to begin an error ("" for CONFIG SET). */
struct place {
    enum source source;
    unsigned line;
    char words[256];
};

/* Keeps a value that setting_parse has accepted. */
enum status config_store(struct config *c, enum setting_id id, int64_t num, struct slice text,
                         const struct place *place) MUST_CHECK;

/* Error texts; both return ST_ERR. */
enum status config_unknown_name(struct slice name, const char *where, char *err, size_t err_size);
enum status config_bad_value(enum setting_id id, struct slice value, const char *where, char *err,
                             size_t err_size);

#endif

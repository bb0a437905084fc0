/*
 * settings_store.c: keeps the values of the settings; words the two errors that both the start (settings_load.c) and
 * CONFIG SET (settings_live.c) may answer.
 *
 * Numbers are atomics, so a loop reads them as often as it likes. Text and source are guarded by the lock, since
 * CONFIG GET and SET run on any loop. A TEXT that is not live never changes after settings_load.
 */
#include "broker/settings/settings_store.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/settings/settings_value.h"
#include "protocol/base/text.h"

int64_t settings_num(const struct settings *c, enum setting_id id)
{
    return atomic_load_explicit(&c->values[id].num, memory_order_relaxed);
}

const char *settings_text(const struct settings *c, enum setting_id id)
{
    return c->values[id].text;
}

enum settings_action settings_action(const struct settings *c)
{
    return c->action;
}

const char *settings_restore_from(const struct settings *c)
{
    return c->restore_from;
}

enum status settings_store(struct settings *c, enum setting_id id, int64_t num, struct slice text,
                           const struct settings_place *place)
{
    char *copy = strndup(text.len ? (const char *)text.data : "", text.len);
    if (!copy)
        return ST_NOMEM;
    struct settings_value *v = &c->values[id];
    pthread_mutex_lock(&c->lock);
    char *old = v->text;
    v->text = copy;
    v->source = place->source;
    v->line = place->line;
    atomic_store_explicit(&v->num, num, memory_order_relaxed);
    pthread_mutex_unlock(&c->lock);
    free(old);
    return ST_OK;
}

enum status settings_store_all(struct settings *c, const struct setting_change *changes, size_t n)
{
    char *texts[SETTING_COUNT];
    bool good = true;
    for (size_t i = 0; i < n; i++) {
        texts[i] = strndup(changes[i].text.len ? (const char *)changes[i].text.data : "", changes[i].text.len);
        good = good && texts[i];
    }
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < n && good; i++) {
        struct settings_value *v = &c->values[changes[i].id];
        char *old = v->text;
        v->text = texts[i];
        v->source = FROM_COMMAND;
        atomic_store_explicit(&v->num, changes[i].num, memory_order_relaxed);
        texts[i] = old;
    }
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    return good ? ST_OK : ST_NOMEM;
}

enum status settings_unknown_name(struct slice name, const char *where, char *err, size_t err_size)
{
    char quoted[80];
    const char *near = setting_nearest(name);
    text_quote(name, 60, quoted, sizeof quoted);
    snprintf(err, err_size, "%s%sunknown setting \"%s\"%s%s%s; halfmqd --help lists all settings", where,
             *where ? ": " : "", quoted, near ? ", did you mean " : "", near ? near : "",
             near ? "?" : "");
    return ST_ERR;
}

enum status settings_bad_value(enum setting_id id, struct slice value, const char *where, char *err,
                               size_t err_size)
{
    char quoted[80], allowed[256] = "";
    struct buf text;
    buf_init(&text, 0);
    setting_allowed(id, &text);
    if (!text.failed)
        snprintf(allowed, sizeof allowed, "%.*s", (int)text.len, (const char *)text.data);
    buf_free(&text);
    if (setting_info(id)->type == SETTING_SECRET)
        value = SLICE_LIT("(a secret)");
    text_quote(value, 60, quoted, sizeof quoted);
    snprintf(err, err_size, "%s%sbad value \"%s\" for %s: expected %s", where, *where ? ": " : "", quoted,
             setting_info(id)->name, allowed);
    return ST_ERR;
}

bool settings_hides(const struct settings *c, enum setting_id id)
{
    bool by_file = id == SET_password && *c->values[SET_password_file].text;
    return setting_info(id)->type == SETTING_SECRET && (*c->values[id].text || by_file);
}

const char *settings_shown(const struct settings *c, enum setting_id id)
{
    return settings_hides(c, id) ? "(set)" : c->values[id].text;
}

void settings_free(struct settings *c)
{
    if (!c)
        return;
    for (unsigned i = 0; i < SETTING_COUNT; i++)
        free(c->values[i].text);
    free(c->path);
    free(c->restore_from);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void settings_put(struct settings *c, enum setting_id id, struct buf *out)
{
    pthread_mutex_lock(&c->lock);
    buf_put_str(out, settings_shown(c, id));
    pthread_mutex_unlock(&c->lock);
}

/*
 * settings_live.c: shows and changes settings while the broker runs, and writes them back to the file.
 *
 *   settings_load ──► values ◄── CONFIG SET        values ──► settings_num, CONFIG GET, --print-config
 *                                                   └─────► CONFIG REWRITE ──► file
 *
 * Each value remembers its text as it was given and where it came from. CONFIG REWRITE writes only what CONFIG SET has
 * changed. What was given as a flag or in the environment stays there, where the person who starts the broker has put
 * it.
 */
#include <fnmatch.h>
#include <stdio.h>

#include "broker/settings/settings_file.h"
#include "broker/settings/settings_store.h"
#include "broker/settings/settings_value.h"
#include "broker/base/log.h"
#include "protocol/base/reply.h"
#include "protocol/base/text.h"

#define PATTERN_BYTES_MAX 128
#define PATTERNS_MAX 64

void settings_apply_log_level(const struct settings *c)
{
    /* In the order of the words in settings.def. */
    static const enum log_level levels[] = {LOG_INFO, LOG_DEBUG, LOG_WARN, LOG_ERROR};
    log_set_level(levels[settings_num(c, SET_log_level)]);
}

/* Does one of the patterns match the setting's name? A pattern comes from a client: it is taken only if it is short and
 * has no NUL, which would hide the rest of it. */
static bool live_matches(enum setting_id id, const struct slice *patterns, size_t n)
{
    for (size_t i = 0; i < n && i < PATTERNS_MAX; i++) {
        char pattern[PATTERN_BYTES_MAX + 1] = "";
        if (patterns[i].len == 0 || patterns[i].len > PATTERN_BYTES_MAX)
            continue;
        memcpy(pattern, patterns[i].data, patterns[i].len);
        if (strlen(pattern) == patterns[i].len &&
            fnmatch(pattern, setting_info(id)->name, FNM_CASEFOLD | FNM_NOESCAPE) == 0)
            return true;
    }
    return false;
}

/* Settings of Redis that tools ask for by name, with what is true of this broker: no snapshots, everything is
 * logged. */
static const struct {
    const char *name, *value;
} redis_settings[] = {{"save", ""}, {"appendonly", "yes"}};

static bool live_redis_wanted(size_t i, const struct slice *patterns, size_t n)
{
    for (size_t p = 0; p < n; p++) {
        if (slice_equal_nocase(patterns[p], slice_str(redis_settings[i].name)))
            return true;
    }
    return false;
}

static size_t live_redis_get(const struct slice *patterns, size_t n, struct buf *reply)
{
    size_t found = 0;
    for (size_t i = 0; i < sizeof redis_settings / sizeof *redis_settings; i++) {
        if (!live_redis_wanted(i, patterns, n))
            continue;
        found++;
        if (reply)
            reply_field_bytes(reply, redis_settings[i].name, slice_str(redis_settings[i].value));
    }
    return found;
}

void settings_get(struct settings *c, const struct slice *patterns, size_t n, struct buf *reply)
{
    bool wanted[SETTING_COUNT];
    size_t found = live_redis_get(patterns, n, NULL);
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        wanted[i] = live_matches((enum setting_id)i, patterns, n);
        found += wanted[i];
    }
    reply_map(reply, found);
    live_redis_get(patterns, n, reply);
    pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        if (!wanted[i])
            continue;
        reply_bulk_str(reply, setting_info((enum setting_id)i)->name);
        reply_bulk_str(reply, settings_shown(c, (enum setting_id)i));
    }
    pthread_mutex_unlock(&c->lock);
}

static enum status live_check(struct slice name, struct slice value, struct setting_change *ret, char *err,
                              size_t err_size)
{
    if (!setting_find(name, &ret->id))
        return settings_unknown_name(name, "", err, err_size);
    if (!setting_info(ret->id)->live) {
        snprintf(err, err_size,
                 "%s cannot change while the broker runs: set it in the config file, as HALFMQ_* variable or as flag",
                 setting_info(ret->id)->name);
        return ST_ERR;
    }
    if (!setting_parse(ret->id, value, &ret->num, &ret->text))
        return settings_bad_value(ret->id, value, "", err, err_size);
    return ST_OK;
}

enum status settings_check(const struct slice *words, size_t n, struct setting_change *changes, char *err,
                           size_t err_size)
{
    for (size_t i = 0; i < n; i++) {
        struct setting_change one;
        enum status s = live_check(words[2 * i], words[2 * i + 1], &one, err, err_size);
        if (s != ST_OK)
            return s;
        for (size_t k = 0; k < i; k++) { /* so there are at most as many as there are settings */
            if (changes[k].id != one.id)
                continue;
            snprintf(err, err_size, "%s is there twice", setting_info(one.id)->name);
            return ST_ERR;
        }
        changes[i] = one;
    }
    return ST_OK;
}

enum status settings_set(struct settings *c, const struct setting_change *changes, size_t n, char *err,
                         size_t err_size)
{
    enum status s = settings_store_all(c, changes, n);
    if (s != ST_OK)
        snprintf(err, err_size, "no memory for the new value, nothing was changed");
    return s;
}

/* Copies what CONFIG SET has changed, so that the file is written without holding the lock. */
static size_t live_collect_changes(struct settings *c, struct settings_change *changes, struct buf *texts)
{
    size_t starts[SETTING_COUNT], n = 0;
    pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        if (c->values[i].source != FROM_COMMAND)
            continue;
        size_t bytes = strlen(c->values[i].text);
        starts[n] = texts->len;
        changes[n++] = (struct settings_change){.name = setting_info((enum setting_id)i)->name,
                                              .value = slice_of(NULL, bytes)};
        buf_put(texts, c->values[i].text, bytes);
    }
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < n && !texts->failed; i++)
        changes[i].value.data = texts->data + starts[i];
    return n;
}

/* Writes the file with the changes in it; where it is gone, makes a new one. */
static enum status live_rewrite_texts(struct settings *c, struct buf *old, struct buf *texts, struct buf *content,
                                      char *err, size_t err_size)
{
    struct settings_change changes[SETTING_COUNT];
    enum status s = settings_file_read(c->path, old, err, err_size);
    if (s != ST_OK && s != ST_GONE)
        return s;
    size_t n = live_collect_changes(c, changes, texts);
    if (!texts->failed)
        settings_file_edit(buf_slice(old), changes, n, content);
    if (texts->failed || content->failed) {
        snprintf(err, err_size, "no memory to write the config file, nothing was changed");
        return ST_NOMEM;
    }
    return settings_file_write(c->path, buf_slice(content), err, err_size);
}

enum status settings_rewrite(struct settings *c, char *err, size_t err_size)
{
    struct buf old, texts, content;
    if (!c->path) {
        snprintf(err, err_size, "there is no config file: start with one, as in halfmqd halfmq.conf");
        return ST_ERR;
    }
    buf_init(&old, SETTINGS_FILE_BYTES_MAX);
    buf_init(&texts, 0);
    buf_init(&content, 0);
    enum status s = live_rewrite_texts(c, &old, &texts, &content, err, err_size);
    buf_free(&old);
    buf_free(&texts);
    buf_free(&content);
    return s;
}

static void live_put_source(const struct settings *c, const struct settings_value *v, struct buf *out)
{
    static const char *const words[] = {
        [FROM_DEFAULT] = "the default",     [FROM_FILE] = "",
        [FROM_ENVIRONMENT] = "environment", [FROM_FLAG] = "command line",
        [FROM_COMMAND] = "CONFIG SET",
    };
    if (v->source == FROM_FILE)
        buf_printf(out, "%s:%u", c->path, v->line);
    else
        buf_put_str(out, words[v->source]);
}

void settings_print(struct settings *c, struct buf *out)
{
    buf_put_str(out, "# Settings of halfmqd. Each line is `name = value`; # begins a comment.\n");
    pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        const struct setting_info *info = setting_info((enum setting_id)i);
        buf_printf(out, "\n# %s (", info->help);
        setting_bounds((enum setting_id)i, out);
        buf_put_str(out, "; from ");
        live_put_source(c, &c->values[i], out);
        /* What is not shown must not be read back as a value. */
        buf_printf(out, ")\n%s%s = ", settings_hides(c, (enum setting_id)i) ? "# " : "", info->name);
        settings_value_quote(slice_str(settings_shown(c, (enum setting_id)i)), out);
        buf_put_u8(out, '\n');
    }
    pthread_mutex_unlock(&c->lock);
}

/* Two lines a setting, so that the longest stays under 100 columns. */
void settings_help(struct buf *out)
{
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        enum setting_id id = (enum setting_id)i;
        const struct setting_info *info = setting_info(id);
        struct slice dflt = setting_default(id);
        buf_printf(out, "  --%s %.*s\n      %s (", info->name, (int)dflt.len,
                   (const char *)dflt.data, info->help);
        setting_bounds(id, out);
        buf_put_str(out, ")\n");
    }
}

/*
 * settings_load.c: reads the settings at the start, from all the places where people may have put them.
 *
 *   defaults ──► file ──► HALFMQ_* ──► flags        each overrules what stands left of it
 *
 * Every error begins with the place ("halfmq.conf:3", "environment variable HALFMQ_PORT", "flag --port"), names the
 * setting, and says what was expected. The first error ends the start: the broker never runs with a part of its
 * settings.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/settings/settings_file.h"
#include "broker/settings/settings_store.h"
#include "broker/settings/settings_value.h"
#include "broker/base/log.h"
#include "protocol/base/text.h"

static enum status load_fail(char *err, size_t err_size, const char *text)
{
    snprintf(err, err_size, "%s", text);
    return ST_ERR;
}

/* Sets one setting, from the file, the environment or the command line. */
static enum status load_take(struct settings *c, struct slice name, struct slice value,
                             const struct settings_place *place, char *err, size_t err_size)
{
    enum setting_id id;
    struct slice text;
    int64_t num;
    if (!setting_find(name, &id))
        return settings_unknown_name(name, place->words, err, err_size);
    if (!setting_parse(id, value, &num, &text))
        return settings_bad_value(id, value, place->words, err, err_size);
    if (settings_store(c, id, num, text, place) != ST_OK)
        return load_fail(err, err_size, "no memory for the settings");
    return ST_OK;
}

static enum status load_take_defaults(struct settings *c, char *err, size_t err_size)
{
    struct settings_place place = {.source = FROM_DEFAULT, .words = "default"};
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        enum setting_id id = (enum setting_id)i;
        enum status s = load_take(c, slice_str(setting_info(id)->name), setting_default(id), &place, err,
                                  err_size);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static enum status load_take_line(struct settings *c, struct slice line, unsigned number,
                                  struct buf *scratch, char *err, size_t err_size)
{
    struct settings_place place = {.source = FROM_FILE, .line = number};
    struct settings_line l;
    settings_line_parse(line, scratch, &l);
    snprintf(place.words, sizeof place.words, "%s:%u", c->path, number);
    if (l.kind == LINE_SETTING)
        return load_take(c, l.name, l.value, &place, err, err_size);
    if (l.kind == LINE_BAD) {
        char quoted[80];
        text_quote(line, 60, quoted, sizeof quoted);
        snprintf(err, err_size, "%s: expected %s, found \"%s\"", place.words, l.why, quoted);
        return ST_ERR;
    }
    return ST_OK;
}

static enum status load_take_file(struct settings *c, char *err, size_t err_size)
{
    struct buf content, scratch;
    struct slice line;
    unsigned number = 0;
    if (!c->path)
        return ST_OK;
    buf_init(&content, SETTINGS_FILE_BYTES_MAX);
    buf_init(&scratch, 0);
    enum status s = settings_file_read(c->path, &content, err, err_size);
    struct cursor at = cursor_of(buf_slice(&content));
    while (s == ST_OK && settings_next_line(&at, &line))
        s = load_take_line(c, line, ++number, &scratch, err, err_size);
    buf_free(&content);
    buf_free(&scratch);
    return s;
}

#define ENVIRONMENT_PREFIX "HALFMQ_"

/* Takes HALFMQ_NAME=value apart. False: it is another variable. */
static bool load_split_variable(const char *variable, struct slice *ret_name, struct slice *ret_value)
{
    const size_t prefix = sizeof ENVIRONMENT_PREFIX - 1;
    const char *equals = strchr(variable, '=');
    if (!equals || strncmp(variable, ENVIRONMENT_PREFIX, prefix) != 0)
        return false;
    *ret_name = slice_of(variable + prefix, (size_t)(equals - variable) - prefix);
    *ret_value = slice_str(equals + 1);
    return true;
}

/* Is there a setting of this name? Variables are written in upper case; HALFMQ_port is not ours. */
static bool load_known_variable(struct slice name)
{
    enum setting_id id;
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] >= 'a' && name.data[i] <= 'z')
            return false;
    }
    return setting_find(name, &id);
}

/* HALFMQ_TLS=1 is the command line's (clients/cli), where both have the same environment. */
static bool load_is_for_clients(struct slice name, struct slice value)
{
    return slice_equal(name, SLICE_LIT("TLS")) && (slice_equal(value, SLICE_LIT("0")) || slice_equal(value, SLICE_LIT("1")));
}

static enum status load_take_environment(struct settings *c, char **environ_list, char *err, size_t err_size)
{
    for (char **at = environ_list; at && *at; at++) {
        struct settings_place place = {.source = FROM_ENVIRONMENT};
        struct slice name, value;
        if (!load_split_variable(*at, &name, &value) || !load_known_variable(name) || load_is_for_clients(name, value))
            continue;
        snprintf(place.words, sizeof place.words, "environment variable " ENVIRONMENT_PREFIX "%.*s",
                 (int)name.len, (const char *)name.data);
        enum status s = load_take(c, name, value, &place, err, err_size);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

/* Variables that only clients know; they often share the environment. */
static bool load_is_only_for_clients(struct slice name)
{
    static const char *const names[] = {"HOST", "URL", "USER", "CACERT", "CERT", "KEY", "INSECURE"};
    size_t i = 0;
    while (i < sizeof names / sizeof *names && !slice_equal(name, slice_str(names[i])))
        i++;
    return i < sizeof names / sizeof *names;
}

static void load_warn_of_unknown_variables(char **environ_list)
{
    for (char **at = environ_list; at && *at; at++) {
        char shown[80], quoted[120];
        struct slice name, value;
        if (!load_split_variable(*at, &name, &value) || load_known_variable(name) || load_is_only_for_clients(name))
            continue;
        const char *near = setting_nearest(name);
        text_quote(slice_of(*at, strcspn(*at, "=")), 60, shown, sizeof shown);
        log_event(LOG_WARN, "unknown environment variable", " name=%s%s%s",
                  log_quote(shown, quoted, sizeof quoted), near ? " nearest_setting=" : "",
                  near ? near : "");
    }
}

struct action_flag {
    const char *flag;
    enum settings_action action;
};

static const struct action_flag action_flags[] = {
    {"--help", ACTION_HELP},         {"-h", ACTION_HELP},
    {"--version", ACTION_VERSION},   {"--check-config", ACTION_CHECK},
    {"--print-config", ACTION_PRINT}, {"--salvage", ACTION_SALVAGE},
    {"--check", ACTION_CHECK_DATA},
};

static bool load_action_of(const char *word, enum settings_action *ret_action)
{
    for (size_t i = 0; i < sizeof action_flags / sizeof *action_flags; i++) {
        if (strcmp(word, action_flags[i].flag) == 0) {
            *ret_action = action_flags[i].action;
            return true;
        }
    }
    return false;
}

/* A flag, which is one word of the command line or two. */
struct flag {
    struct slice name; /* empty: not a flag but the file's name */
    struct slice value;
    bool has_value;
    int used; /* how many words it took */
};

static struct flag load_flag_at(int argc, char **argv, int i)
{
    struct flag f = {.used = 1};
    const char *word = argv[i];
    if (strncmp(word, "--", 2) != 0)
        return f;
    const char *equals = strchr(word, '=');
    f.name = equals ? slice_of(word + 2, (size_t)(equals - word) - 2) : slice_str(word + 2);
    f.has_value = equals != NULL;
    if (equals) {
        f.value = slice_str(equals + 1);
    } else if (i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0) {
        f.value = slice_str(argv[i + 1]);
        f.has_value = true;
        f.used = 2;
    }
    return f;
}

static enum status load_take_path(struct settings *c, const char *word, char *err, size_t err_size)
{
    if (word[0] == '-' || c->path) {
        snprintf(err, err_size,
                 "unexpected word \"%.100s\": expected halfmqd [config-file] [--name value ...]", word);
        return ST_ERR;
    }
    c->path = strdup(word);
    return c->path ? ST_OK : load_fail(err, err_size, "no memory for the settings");
}

/* --restore DIR, or --restore=DIR. */
static bool load_is_restore(const struct flag *f)
{
    return slice_equal(f->name, SLICE_LIT("restore"));
}

static enum status load_take_restore(struct settings *c, const struct flag *f, char *err, size_t err_size)
{
    if (!f->has_value || !f->value.len)
        return load_fail(err, err_size, "flag --restore: expected the folder of a backup behind it");
    if (c->action != ACTION_HELP && c->action != ACTION_VERSION)
        c->action = ACTION_RESTORE;
    free(c->restore_from);
    c->restore_from = strndup((const char *)f->value.data, f->value.len);
    return c->restore_from ? ST_OK : load_fail(err, err_size, "no memory for the settings");
}

/* First pass over the command line: finds the action and the file's name. Flags come in a second pass, as they overrule
 * the file. */
static enum status load_take_words(struct settings *c, int argc, char **argv, char *err, size_t err_size)
{
    for (int i = 1; i < argc;) {
        struct flag f = load_flag_at(argc, argv, i);
        enum settings_action action;
        enum status s = ST_OK;
        if (load_action_of(argv[i], &action)) {
            /* --help and --version answer whatever else was typed. */
            bool settled = c->action == ACTION_HELP || c->action == ACTION_VERSION;
            c->action = settled ? c->action : action;
            f.used = 1;
        } else if (load_is_restore(&f)) {
            s = load_take_restore(c, &f, err, err_size);
        } else if (f.name.len == 0) {
            s = load_take_path(c, argv[i], err, err_size);
        }
        if (s != ST_OK)
            return s;
        i += f.used;
    }
    return ST_OK;
}

static enum status load_take_flags(struct settings *c, int argc, char **argv, char *err, size_t err_size)
{
    for (int i = 1; i < argc;) {
        struct settings_place place = {.source = FROM_FLAG};
        struct flag f = load_flag_at(argc, argv, i);
        enum settings_action action;
        enum setting_id id;
        enum status s = ST_OK;
        snprintf(place.words, sizeof place.words, "flag --%.*s", (int)f.name.len,
                 f.name.len ? (const char *)f.name.data : "");
        if (load_action_of(argv[i], &action))
            f.used = 1;
        else if (load_is_restore(&f))
            s = ST_OK; /* the first pass took it */
        else if (f.name.len > 0 && !f.has_value && setting_find(f.name, &id))
            s = settings_bad_value(id, f.value, place.words, err, err_size);
        else if (f.name.len > 0)
            s = load_take(c, f.name, f.value, &place, err, err_size);
        if (s != ST_OK)
            return s;
        i += f.used;
    }
    return ST_OK;
}

static enum status load(struct settings *c, int argc, char **argv, char **environ_list, char *err,
                        size_t err_size)
{
    enum status s = load_take_words(c, argc, argv, err, err_size);
    bool only_words = c->action == ACTION_HELP || c->action == ACTION_VERSION;
    if (only_words)
        return load_take_defaults(c, err, err_size);
    if (s == ST_OK)
        s = load_take_defaults(c, err, err_size);
    if (s == ST_OK)
        s = load_take_file(c, err, err_size);
    if (s == ST_OK)
        s = load_take_environment(c, environ_list, err, err_size);
    if (s == ST_OK)
        s = load_take_flags(c, argc, argv, err, err_size);
    if (s != ST_OK)
        return s;
    settings_apply_log_level(c);
    load_warn_of_unknown_variables(environ_list);
    return ST_OK;
}

enum status settings_load(int argc, char **argv, char **environ_list, struct settings **ret_settings, char *err,
                          size_t err_size)
{
    struct settings *c = calloc(1, sizeof *c);
    if (!c)
        return load_fail(err, err_size, "no memory for the settings");
    if (pthread_mutex_init(&c->lock, NULL) != 0) {
        free(c);
        return load_fail(err, err_size, "no lock for the settings");
    }
    enum status s = load(c, argc, argv, environ_list, err, err_size);
    if (s != ST_OK) {
        settings_free(c);
        return s;
    }
    *ret_settings = c;
    return ST_OK;
}

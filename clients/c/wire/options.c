/*
 * options.c: sets, copies and describes options by name; the table is made from options.def. See options.h.
 */
#include "clients/c/wire/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/wire/sized.h"
#include "protocol/base/text.h"

#define TEXT_BYTES_MAX 4096

enum choice_type { TYPE_TEXT, TYPE_NUM, TYPE_BOOL };

struct choice_line {
    const char *name;
    enum choice_type type;
    const char *initial;
    int64_t min, max;
    const char *help;
};

static const struct choice_line choices[CHOICE_COUNT] = {
#define CHOICE(name, type, initial, min, max, help) {#name, TYPE_##type, initial, min, max, help},
#include "clients/c/wire/options.def"
#undef CHOICE
};

static const struct choice_line *options_choice_find(const char *name)
{
    for (size_t i = 0; name && i < CHOICE_COUNT; i++)
        if (strcmp(choices[i].name, name) == 0)
            return &choices[i];
    return NULL;
}

static enum hmq_status options_set_num(struct hmq_options *o, const struct choice_line *line,
                                       const char *value, hmq_error *err)
{
    int64_t n;
    if (!text_int(slice_str(value), &n) || n < line->min || n > line->max)
        return error_set(err, HMQ_EINVAL,
                         "option %s: '%.40s' is not a number from %" PRId64 " to %" PRId64,
                         line->name, value, line->min, line->max);
    o->num[line - choices] = n;
    return error_none(err);
}

static enum hmq_status options_set_bool(struct hmq_options *o, const struct choice_line *line,
                                        const char *value, hmq_error *err)
{
    bool yes = strcmp(value, "yes") == 0;
    if (!yes && strcmp(value, "no") != 0)
        return error_set(err, HMQ_EINVAL, "option %s: '%.40s' is neither yes nor no", line->name,
                         value);
    o->num[line - choices] = yes;
    return error_none(err);
}

static enum hmq_status options_set_text(struct hmq_options *o, const struct choice_line *line,
                                        const char *value, hmq_error *err)
{
    if (strlen(value) > TEXT_BYTES_MAX)
        return error_set(err, HMQ_EINVAL, "option %s: longer than %d bytes", line->name,
                         TEXT_BYTES_MAX);
    char *copy = strdup(value);
    if (!copy)
        return error_plain(err, HMQ_ENOMEM);
    free(o->text[line - choices]);
    o->text[line - choices] = copy;
    return error_none(err);
}

enum hmq_status hmq_options_set(hmq_options *o, const char *name, const char *value, hmq_error *err)
{
    const struct choice_line *line = options_choice_find(name);
    if (!line)
        return error_set(err, HMQ_EINVAL, "there is no option '%.60s'", name ? name : "(null)");
    if (!o || !value)
        return error_set(err, HMQ_EINVAL, "option %s: no %s given", name, o ? "value" : "options");
    switch (line->type) {
    case TYPE_NUM: return options_set_num(o, line, value, err);
    case TYPE_BOOL: return options_set_bool(o, line, value, err);
    case TYPE_TEXT: break;
    }
    return options_set_text(o, line, value, err);
}

hmq_options *hmq_options_new(void)
{
    struct hmq_options *o = calloc(1, sizeof *o);
    for (size_t i = 0; o && i < CHOICE_COUNT; i++) {
        if (hmq_options_set(o, choices[i].name, choices[i].initial, NULL) != HMQ_OK) {
            hmq_options_free(o);
            o = NULL;
        }
    }
    return o;
}

void hmq_options_free(hmq_options *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < CHOICE_COUNT; i++)
        free(o->text[i]);
    free(o);
}

struct hmq_options *options_clone(const struct hmq_options *o)
{
    struct hmq_options *copy = malloc(sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *o;
    bool whole = true;
    for (size_t i = 0; i < CHOICE_COUNT; i++) {
        copy->text[i] = o->text[i] ? strdup(o->text[i]) : NULL;
        whole = whole && (!o->text[i] || copy->text[i]);
    }
    if (!whole) {
        hmq_options_free(copy);
        return NULL;
    }
    return copy;
}

enum hmq_status hmq_options_get(const hmq_options *o, const char *name, char *value, size_t size,
                                hmq_error *err)
{
    const struct choice_line *line = options_choice_find(name);
    if (!line || !o || !value || size == 0)
        return error_set(err, HMQ_EINVAL, "there is no option '%.60s'", name ? name : "(null)");
    size_t i = (size_t)(line - choices);
    if (line->type == TYPE_NUM)
        snprintf(value, size, "%" PRId64, o->num[i]);
    else if (line->type == TYPE_BOOL)
        snprintf(value, size, "%s", o->num[i] ? "yes" : "no");
    else
        snprintf(value, size, "%s", o->text[i]);
    return error_none(err);
}

int hmq_options_describe(size_t i, const char **ret_name, const char **ret_default,
                         const char **ret_help)
{
    if (i >= CHOICE_COUNT)
        return 0;
    if (ret_name)
        *ret_name = choices[i].name;
    if (ret_default)
        *ret_default = choices[i].initial;
    if (ret_help)
        *ret_help = choices[i].help;
    return 1;
}

void hmq_options_set_event_fn(hmq_options *o, hmq_event_fn fn, void *arg)
{
    if (!o)
        return;
    o->event_fn = fn;
    o->event_arg = arg;
}

void hmq_options_set_log_fn(hmq_options *o, enum hmq_log_level level, hmq_log_fn fn, void *arg)
{
    if (!o)
        return;
    o->log_level = level;
    o->log_fn = fn;
    o->log_arg = arg;
}

enum hmq_status hmq_options_add_interceptor(hmq_options *o, const hmq_interceptor *interceptor, hmq_error *err)
{
    hmq_interceptor known = HMQ_INTERCEPTOR;
    if (!o || !interceptor || !sized_read(&known, sizeof known, interceptor, sizeof known))
        return error_set(err, HMQ_EINVAL, "an interceptor starts from HMQ_INTERCEPTOR");
    if (o->interceptors.n == INTERCEPTORS_MAX)
        return error_set(err, HMQ_EINVAL, "there are %d interceptors already", INTERCEPTORS_MAX);
    o->interceptors.list[o->interceptors.n++] = known;
    return error_none(err);
}

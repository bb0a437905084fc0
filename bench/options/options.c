/* options.c: the tables, and how the text of each kind of option is read. A new kind is a line in
 * option_kind.def and a reader here. */
#include "bench/options/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/base/units.h"
#include "bench/options/body.h"
#include "protocol/limits.h"

const struct option_row option_lines[] = {
#define OPTION(name, kind, otherwise, argument, group, help) \
    {#name, KIND_##kind, offsetof(struct options, name), otherwise, argument, help, GROUP_##group},
#include "bench/options/option.def"
#undef OPTION
};

const char *const mode_names[] = {
#define MODE(name, words, what) #name,
#include "bench/options/mode.def"
#undef MODE
};

static bool options_dist_time(const char *text, uint64_t *ret_v)
{
    int64_t ns;
    if (!units_duration(text, &ns))
        return false;
    *ret_v = (uint64_t)ns;
    return true;
}

static bool options_read_TEXT(const char *text, void *at)
{
    *(const char **)at = text;
    return true;
}

static bool options_read_COUNT(const char *text, void *at)
{
    return units_count(text, at);
}
static bool options_read_RATE(const char *text, void *at)
{
    return units_rate(text, at);
}
static bool options_read_TIME(const char *text, void *at)
{
    return units_duration(text, at);
}
static bool options_read_SHARE(const char *text, void *at)
{
    return units_share(text, at);
}
static bool options_read_SIZES(const char *text, void *at)
{
    return dist_parse(text, units_size, at);
}
static bool options_read_TIMES(const char *text, void *at)
{
    return dist_parse(text, options_dist_time, at);
}
static bool options_read_KEYS(const char *text, void *at)
{
    return keys_parse(text, at);
}

static bool options_read_FLAG(const char *text, void *at)
{
    *(bool *)at = strcmp(text, "yes") == 0;
    return *(bool *)at || strcmp(text, "no") == 0;
}

static bool options_read_LIST(const char *text, void *at)
{
    struct option_list *list = at;
    if (*text && list->n == OPTION_LIST_MAX)
        return false;
    if (*text)
        list->at[list->n++] = text;
    return true;
}

static bool (*const readers[])(const char *text, void *at) = {
#define KIND(name, type, what) options_read_##name,
#include "bench/options/option_kind.def"
#undef KIND
};

bool options_take(struct options *o, size_t i, const char *text)
{
    const struct option_row *line = &option_lines[i];
    if (!readers[line->kind](text, (char *)o + line->offset))
        return false;
    o->said[i] = text;
    return true;
}

void options_default(struct options *o)
{
    *o = (struct options){0};
    for (size_t i = 0; i < BENCH_COUNT; i++) {
        if (!options_take(o, i, option_lines[i].otherwise))
            abort(); /* a default in option.def is not of its kind */
    }
}

enum mode options_load(const struct options *o)
{
    if (o->mode != MODE_search && o->mode != MODE_redis)
        return o->mode;
    for (int i = 0; i < MODE_COUNT; i++) {
        if (strcmp(mode_names[i], o->of) == 0)
            return (enum mode)i;
    }
    return MODE_send;
}
